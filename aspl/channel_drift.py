"""How far the channel that an adapter is heard through has drifted from the one it was taught through.

Told from sums over the clips of a time (`Differences`), without any audio. No clip can then be heard again behind what
is found, so another check stands in for the one of `aspl.channel`: enough clips, of several labels, and a difference
that a channel explains far better than chance does.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from aspl.adapter import Adapter
from aspl.channel import Recalibration, check_curves
from aspl.channel_shift import Differences, estimate_shift
from aspl.errors import RecalibrationInvalid
from aspl.model.clap import FrozenClap

# M mel bins

MIN_CLIPS = 20.0  # of full weight
MIN_LABELS = 1.8  # that share the weight, unless the adapter has one alone
MIN_EVIDENCE = 1.0  # natural logarithm: nearly three times likelier with a channel than without
MIN_SHIFT_DB = 1.5
CHECK = "evidence"  # the name of the check that stands in


@dataclass(frozen=True, eq=False)
class ChannelDrift:
    """What the sums tell.

    Attributes:
        bins_db: `[M]`, by how much more live clips have in each mel bin than what was taught, the adapter's channel
            taken into account, as far as it is no chance; `size_db` is that as one number, its level left out.
        evidence: natural logarithm of how many times likelier the sums are with a drift than without.
        wanting: what is wanting for a recalibration from these sums alone, in words; empty where nothing is.
    """

    bins_db: np.ndarray
    size_db: float
    evidence: float
    wanting: tuple[str, ...]

    @property
    def is_advised(self) -> bool:
        """Whether to recalibrate."""
        return not self.wanting


def assess(differences: Differences, adapter: Adapter, centres_hz: np.ndarray) -> ChannelDrift:
    """Return how far the channel has drifted; raises RecalibrationInvalid for an adapter that does not tell.

    Args:
        differences: of the clips as they were recorded, before the adapter's channel.
        centres_hz: `[M]`, of the mel bins.
    """
    check_curves(adapter)
    assert adapter.taught_curves is not None
    shots = [adapter.shots.get(label, 1) for label in adapter.labels]
    behind = differences.behind(_channel(adapter, len(centres_hz)))
    shift = estimate_shift(behind, adapter.taught_curves, shots, centres_hz)
    return ChannelDrift(shift.curve, shift.size_db, shift.evidence, tuple(_wanting(behind, shift, adapter)))


def recalibrate_from(differences: Differences, adapter: Adapter, clap: FrozenClap) -> Recalibration:
    """Return the adapter with the channel that the sums tell of.

    Raises:
        RecalibrationInvalid: what `assess` raises, and where something is wanting.
    """
    drift = assess(differences, adapter, clap.mel_centres_hz)
    if drift.wanting:
        raise RecalibrationInvalid(f"what it has heard does not suffice: {'; '.join(drift.wanting)}")
    channel = _channel(adapter, clap.mel_bins) - drift.bins_db
    return Recalibration(
        adapter=replace(adapter, channel=torch.from_numpy(channel).float().to(clap.device)),
        is_applied=True,
        reason=f"what it has heard differs by {drift.size_db:.1f} dB, which a channel explains and chance does not",
        margin_before=None,
        margin_after=None,
        num_clips=round(differences.clips),
        num_known=differences.num_effective,
        shift_db=-drift.bins_db,
    )


def _channel(adapter: Adapter, mel_bins: int) -> np.ndarray:
    return np.zeros(mel_bins) if adapter.channel is None else adapter.channel.double().cpu().numpy()


def _wanting(differences: Differences, shift, adapter: Adapter):
    if differences.num_effective < MIN_CLIPS:
        known = f"{differences.num_effective:.1f} of {differences.clips:.0f} clips sound like what was taught"
        yield f"{known}, and {MIN_CLIPS:g} are needed"
    if len(adapter.labels) > 1 and differences.num_labels < MIN_LABELS:
        yield "they are of one label, whose content would pass for the channel"
    if shift.size_db < MIN_SHIFT_DB:
        yield f"they differ from what was taught by {shift.size_db:.1f} dB, less than {MIN_SHIFT_DB:g}"
    elif shift.evidence < MIN_EVIDENCE:
        yield "the difference may be chance"
