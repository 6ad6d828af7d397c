"""The channel: a spectral prompt from live audio that nobody labelled.

What another microphone, a room or a codec adds to every clip is a fixed curve over mel bins, which a spectral prompt
with gamma 1 takes back exactly (arXiv 2606.15751, section 3). Each live clip is held against the curve of the label it
is taken for, by the head's own posterior and by how known it sounds (`aspl.channel_shift`). Nothing is changed where
the difference may be chance, nor unless the live clips then sound more like what was taught.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from aspl.adapter import Adapter
from aspl.channel_shift import Differences, Shift, clip_weights, estimate_shift, num_effective
from aspl.errors import RecalibrationInvalid
from aspl.features import AudioFeatures
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.heard_clip import digest_of
from aspl.inference import reads_stages
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts

# n clips, K labels, M mel bins

MIN_CLIPS = 5
MIN_KNOWN = 2.0  # clips of full weight
MIN_KNOWN_SHARE = 0.35  # of the clips: among much that was never taught, what passes for known is doubtful
SHARES = (1.0, 0.5)  # of the shift, the first that is better than none
LEAST_EVIDENCE = 0.3  # natural logarithm: four to three, at the least, that there is another channel
REMAINING = 1e-4  # below it a probability counts as that


@dataclass(frozen=True, eq=False)
class LiveScores:
    """What an adapter makes of n live clips: `posteriors` `[n, K]`, `known` `[n]` 0 to 1, `margins` `[n]`."""

    posteriors: np.ndarray
    known: np.ndarray
    margins: np.ndarray


@dataclass(frozen=True, eq=False)
class Recalibration:
    """What came of it.

    Attributes:
        adapter: differs from the one that was given in the channel alone; the same object where nothing was changed.
        is_applied: whether it was changed; `reason`: why, or why not, for a person.
        margin_before, margin_after: mean over the clips, by how known each sounds, of how much more it sounds like what
            was taught than like anything else; `after` is that of the last candidate, applied or not. None where none
            was weighed.
        num_clips: different ones that sound; `num_known`: how many clips of full weight they amount to.
        shift_db: `[M]`, what the channel of `adapter` differs by from the one before.
    """

    adapter: Adapter
    is_applied: bool
    reason: str
    margin_before: float | None
    margin_after: float | None
    num_clips: int
    num_known: float
    shift_db: np.ndarray


def recalibrate(clap: FrozenClap, adapter: Adapter, live_waveforms: Sequence[np.ndarray]) -> Adapter:
    """Return the adapter with the channel of these unlabelled clips; see `find_channel`, which says why."""
    return find_channel(clap, adapter, live_waveforms).adapter


def find_channel(
    clap: FrozenClap,
    adapter: Adapter,
    live_waveforms: Sequence[np.ndarray],
    *,
    tick: Callable[[], None] = lambda: None,
) -> Recalibration:
    """Bring what is heard live back to the channel that was taught, or leave the adapter as it is.

    Args:
        live_waveforms: 5 clips or more, 1-D float32 at 48 kHz; the more labels among them, the better.
        tick: called now and then; what it raises passes through.

    Raises:
        RecalibrationInvalid: an adapter whose file says nothing of the clips that it was taught with, or too few clips.
    """
    check_curves(adapter)
    if len(live_waveforms) < MIN_CLIPS:
        raise RecalibrationInvalid(f"{len(live_waveforms)} clips; a channel is told from {MIN_CLIPS} or more")
    # A clip that is there twice tells no more.
    different = {digest_of(waveform): waveform for waveform in live_waveforms}
    live = _Live(clap, adapter, list(different.values()), tick)
    if live.num_clips < MIN_CLIPS:
        return live.unchanged(f"{live.num_clips} different clips sound, and {MIN_CLIPS} have to")
    present = live.present
    before = live.scores(present)
    shift = live.shift(before)
    if shift.evidence <= LEAST_EVIDENCE:
        reason = "by how much the clips differ from what was taught may be chance"
        return live.unchanged(reason, live.num_known(before, before))
    for share in SHARES:
        candidate = present - share * shift.curve
        after = live.scores(candidate)
        num_known = live.num_known(before, after)
        if num_known < max(MIN_KNOWN, MIN_KNOWN_SHARE * live.num_clips):
            reason = f"of {live.num_clips} clips too few sound like what was taught to tell a channel by"
            return live.unchanged(reason, num_known)
        if live.gain(before, after) > 0:
            break
    else:
        reason = "the clips would sound no more like what was taught than they do"
        return live.unchanged(reason, num_known, live.margins(before, after))
    return Recalibration(
        replace(adapter, channel=torch.from_numpy(candidate).float().to(clap.device)),
        True,
        f"{live.num_clips} live clips sound more like what was taught than before",
        *live.margins(before, after),
        live.num_clips,
        num_known,
        candidate - present,
    )


def report_of(found: Recalibration, *, check: str = "margin") -> dict[str, Any]:
    """Return what came of it in JSON's terms, for a job and the adapter; `check` names what it had to pass."""
    margins = (found.margin_before, found.margin_after)
    before, after = (None if margin is None else round(margin, 4) for margin in margins)
    return {
        "applied": found.is_applied,
        "reason": found.reason,
        "check": check,
        "margin_before": before,
        "margin_after": after,
        "num_clips": found.num_clips,
        "num_known": round(found.num_known, 2),
        "shift_db": [round(float(value), 2) for value in found.shift_db],
    }


def check_curves(adapter: Adapter) -> None:
    """Raise RecalibrationInvalid for an adapter that does not say what its clips sounded like."""
    if adapter.taught_curves is None:
        raise RecalibrationInvalid(
            "the adapter's file does not say what the clips that it was taught with sounded like, as files of earlier "
            "releases do not; teach it again, and then recalibrate"
        )


class _Live:
    """The live clips, and what an adapter makes of them behind one channel or another."""

    def __init__(
        self, clap: FrozenClap, adapter: Adapter, waveforms: Sequence[np.ndarray], tick: Callable[[], None]
    ) -> None:
        self._adapter, self._clap, self._tick = adapter, clap, tick
        self._clips = ClipFeatures(clap, waveforms, level_db=adapter.level_db, tick=tick)
        curves = self._clips.curves()
        self._sounding = [clip for clip, curve in enumerate(curves) if curve is not None]
        self._curves = np.array([curves[clip] for clip in self._sounding]).reshape(-1, clap.mel_bins)
        channel = adapter.channel
        self.present = np.zeros(clap.mel_bins) if channel is None else channel.double().cpu().numpy()

    @property
    def num_clips(self) -> int:
        return len(self._sounding)

    def scores(self, beta: np.ndarray) -> LiveScores:
        """Return the scores of the clips behind a channel `[M]` in dB."""
        shift = torch.from_numpy(beta).float().to(self._clap.device)
        prompts = (self._adapter.prompts or AudioPrompts()).behind(shift)
        stages = reads_stages(self._adapter)
        features = self._clips.hear(self._sounding, prompts, stages=stages, tick=self._tick)
        return score_live(self._adapter, features)

    def shift(self, scores: LiveScores) -> Shift:
        """Return by how much the clips, taken for what `scores` say, differ as now heard."""
        taught = self._adapter.taught_curves
        assert taught is not None
        differences = Differences.of(self._curves, scores.posteriors, clip_weights(scores.known), taught)
        shots = [self._adapter.shots.get(label, 1) for label in self._adapter.labels]
        return estimate_shift(differences.behind(self.present), taught, shots, self._clap.mel_centres_hz)

    def num_known(self, before: LiveScores, after: LiveScores) -> float:
        """Return how many clips of full weight sound known in the better of both cases."""
        weights = _weights(before, after)
        return num_effective(float(weights.sum()), float((weights**2).sum()))

    def margins(self, before: LiveScores, after: LiveScores) -> tuple[float, float]:
        """Return the mean margin of both."""
        weights = _weights(before, after)
        mean_before, mean_after = (float(np.average(each.margins, weights=weights)) for each in (before, after))
        return mean_before, mean_after

    def gain(self, before: LiveScores, after: LiveScores) -> float:
        """Return by how much the mean margin rises."""
        return float(np.average(after.margins - before.margins, weights=_weights(before, after)))

    def unchanged(
        self, reason: str, num_known: float = 0.0, margins: tuple[float, float] | tuple[None, None] = (None, None)
    ) -> Recalibration:
        """Return the adapter as it is."""
        shift = np.zeros(self._clap.mel_bins)
        return Recalibration(self._adapter, False, reason, *margins, self.num_clips, num_known, shift)


def _weights(before: LiveScores, after: LiveScores) -> np.ndarray:
    """By how known the clips sound in the better of both cases: a bad channel makes them unknown."""
    return clip_weights(np.maximum(before.known, after.known)) + np.finfo(float).tiny


@torch.inference_mode()
def score_live(adapter: Adapter, features: AudioFeatures) -> LiveScores:
    """Return what the adapter makes of clips; its best probability stands for the known score where it has none."""
    scores, lead = adapter.scores(features)
    posteriors = (scores * adapter.scale).softmax(-1).double().cpu().numpy()
    if adapter.known is None:
        best = np.clip(posteriors.max(1), REMAINING, 1 - REMAINING)
        return LiveScores(posteriors, best, np.log(best / (1 - best)))
    over = None if lead is None else lead.double().cpu().numpy()
    known = adapter.known.scores(scores.double().cpu().numpy(), over)
    bounded = np.clip(known, np.finfo(float).tiny, 1 - 1e-12)
    return LiveScores(posteriors, known, (np.log(bounded) - np.log1p(-bounded)) / adapter.known.slope)
