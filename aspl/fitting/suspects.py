"""Clips that may bear a wrong label: held out, they sound like another label, or like nothing else of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aspl.fitting.heard_clip import HeardClip
from aspl.heads.takes import find_copies, in_two_classes
from aspl.report import MAX_ROWS, Suspect

# n clips, m background clips, K labels

# Bounds that list about 3 % of clean clips at 8 shots; `python -m benchmarks.ear_report` measures them.
LISTED_ODDS = 10.0  # another label has to be so many times as likely as the clip's own
UNLIKE_SHARE = 0.7  # of the background sounds less like any label than the clip does like its own
BACKGROUND_LEAD = 0.2  # what the background has to be ahead by to rank a clip as another label would, in raw scores


@dataclass(frozen=True, eq=False)
class Suspects:
    """Attributes:
    margin: `[n]`, how much likelier the clip's own label is than another or the background, in nats, held out; NaN
        where the clip was not.
    ranked: the clips that were held out, worst first.
    is_other, is_unlike: `[n]`, which are listed for sounding like another label, and like nothing else of their own.
    sounds_like: `[n]`, the likeliest other label; -1 where it sounds like none.
    """

    margin: np.ndarray
    ranked: np.ndarray
    is_other: np.ndarray
    is_unlike: np.ndarray
    sounds_like: np.ndarray

    @property
    def is_listed(self) -> np.ndarray:
        """`[n]`, which clips are listed for what they sound like."""
        return self.is_other | self.is_unlike


@dataclass(frozen=True, eq=False)
class AgainstBackground:
    """How much clips sound like the background, `scores` `[n]`; and `bar`, what of their own label's score less that
    they have to reach so as not to be unlike it."""

    scores: np.ndarray
    bar: float

    @classmethod
    def of(cls, held_out: np.ndarray, bank: np.ndarray) -> "AgainstBackground":
        """Return it from held-out scores `[n, K + 1]` of clips and `[m, K + 1]` of the bank, the background's last."""
        return cls(held_out[:, -1], float(np.quantile(bank[:, :-1].max(1) - bank[:, -1], UNLIKE_SHARE)))


@dataclass(frozen=True, eq=False)
class ClipFaults:
    """What is wrong with clips themselves, `[n]` each.

    Attributes:
        silent, clipped: digital silence; flat tops.
        repeated: equal to an earlier one of its label.
        twin: the number of an equal clip of another label; -1 for none.
    """

    silent: np.ndarray
    clipped: np.ndarray
    repeated: np.ndarray
    twin: np.ndarray

    @classmethod
    def of(cls, clips: Sequence[HeardClip], classes: np.ndarray) -> "ClipFaults":
        """Find them in clips of `classes` `[n]`."""
        digests = [clip.order for clip in clips]
        twin = np.full(len(classes), -1)
        for clip in np.flatnonzero(in_two_classes(classes, digests)):
            others = (other for other, digest in enumerate(digests) if digest == digests[clip])
            twin[clip] = next(other for other in others if classes[other] != classes[clip])
        return cls(
            silent=np.array([clip.is_silent for clip in clips], dtype=bool),
            clipped=np.array([clip.is_clipped for clip in clips], dtype=bool),
            repeated=find_copies(classes, digests) != np.arange(len(classes)),
            twin=twin,
        )


def find_suspects(
    scores: np.ndarray,
    classes: np.ndarray,
    is_held_out: np.ndarray,
    sharpness: float,
    background: AgainstBackground | None = None,
) -> Suspects:
    """Rank clips by what fits without them make of them.

    Args:
        scores: `[n, K]`; rows of clips that were not held out are not read.
        is_held_out: `[n]`.
        sharpness: what makes calibrated logits of scores.
        background: where the fit hears one.
    """
    rows = np.arange(len(classes))
    own, others = scores[rows, classes], scores.copy()
    others[rows, classes] = -np.inf
    best = others.max(1)
    over_others = sharpness * (own - best)  # [n], infinite where there is one label
    margin, is_unlike, is_like_other = over_others, np.zeros(len(classes), bool), best > own
    if background is not None:
        margin = np.minimum(over_others, sharpness * (own - background.scores + BACKGROUND_LEAD))
        is_unlike = own - background.scores < background.bar
        is_like_other = is_like_other & (best - background.scores >= background.bar)
    return Suspects(
        margin=np.where(is_held_out, margin, np.nan),
        ranked=np.argsort(np.where(is_held_out, margin, np.inf), kind="stable")[: int(is_held_out.sum())],
        is_other=is_held_out & (over_others < -np.log(LISTED_ODDS)),
        is_unlike=is_held_out & is_unlike,
        sounds_like=np.where(is_held_out & is_like_other, others.argmax(1), -1),
    )


def list_suspects(found: Suspects, faults: ClipFaults, classes: np.ndarray, labels: Sequence[str]) -> list[Suspect]:
    """Return the clips that a tenant should listen to, worst first, at most 100.

    What is silent or is taught under two labels is wrong for sure and comes first; then what its sound speaks against;
    last what does little harm: a clip that is clipped, or is there twice.
    """
    is_sure, is_harmless = faults.silent | (faults.twin >= 0), faults.clipped | faults.repeated
    margin = np.nan_to_num(found.margin, nan=np.inf)
    rank = np.where(is_sure, 0, np.where(found.is_listed, 1, 2))
    listed = np.flatnonzero(is_sure | found.is_listed | is_harmless)
    listed = listed[np.lexsort((margin[listed], rank[listed]))][:MAX_ROWS]
    return [_row(clip, found, faults, classes, labels) for clip in listed]


def _row(clip: int, found: Suspects, faults: ClipFaults, classes: np.ndarray, labels: Sequence[str]) -> Suspect:
    twin = faults.twin[clip]
    reasons = {
        "silent": faults.silent[clip],
        "repeated": faults.repeated[clip] or twin >= 0,
        "other_label": found.is_other[clip] or twin >= 0,
        "unlike_its_label": found.is_unlike[clip],
        "clipped": faults.clipped[clip],
    }
    like = classes[twin] if twin >= 0 else found.sounds_like[clip]
    return Suspect(
        clip=int(clip),
        label=labels[classes[clip]],
        sounds_like=labels[like] if like >= 0 and (reasons["other_label"] or reasons["unlike_its_label"]) else None,
        reasons=tuple(name for name, holds in reasons.items() if holds),
        margin=round(float(found.margin[clip]), 2) if np.isfinite(found.margin[clip]) else None,
    )
