"""One order for the same clips, whatever order they came in: a fit knows no other, so its result does not depend on it.

Clips are sorted by label and digest. What a caller sees is put back: labels by their first appearance, clips by number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aspl.adapter import Adapter
from aspl.fitting.heard_clip import HeardClip, digest_of
from aspl.fitting.live_clip import LiveClip
from aspl.held_out import HeldOutAnswer
from aspl.known import KnownRule
from aspl.report import Report

# n clips, K labels


@dataclass(frozen=True, eq=False)
class ClipOrder:
    """The clips of a fit in their one order.

    Attributes:
        clips: `[n]`, the numbers that the clips came with.
        labels: as they first appeared.
        digests: `[n]`, in the one order; of equal clips they are equal.
    """

    clips: tuple[int, ...]
    labels: tuple[str, ...]
    digests: tuple[int, ...]

    @classmethod
    def of(cls, given: Sequence[np.ndarray | LiveClip | HeardClip], labels: Sequence[str]) -> "ClipOrder":
        """Return the order of clips and their labels, equally many."""
        digests = [digest_of(clip) for clip in given]
        clips = sorted(range(len(labels)), key=lambda clip: (labels[clip], digests[clip]))
        return cls(tuple(clips), tuple(dict.fromkeys(labels)), tuple(digests[clip] for clip in clips))

    def as_given(self, adapter: Adapter) -> Adapter:
        """Return the adapter of a fit in this order with labels and clips as they came."""
        places = [adapter.labels.index(label) for label in self.labels]
        return replace(
            adapter,
            head=adapter.head.reordered(places),
            labels=self.labels,
            shots={label: adapter.shots[label] for label in self.labels},
            known=adapter.known and _rule(adapter.known, places),
            taught_curves=adapter.taught_curves and adapter.taught_curves.reordered(places),
            held_out=self._answers(adapter.held_out),
            report=_report(adapter.report, self.labels, places, self.clips),
        )

    def _answers(self, held_out: Sequence[HeldOutAnswer | None]) -> tuple[HeldOutAnswer | None, ...]:
        by_clip = dict(zip(self.clips, held_out, strict=True))
        return tuple(by_clip[clip] for clip in range(len(by_clip)))


def _rule(rule: KnownRule, places: Sequence[int]) -> KnownRule:
    def moved(row: Sequence[float] | None) -> tuple[float, ...] | None:
        return None if row is None else tuple(row[place] for place in places)

    return replace(
        rule,
        thresholds=moved(rule.thresholds),
        sensitivities={name: moved(row) for name, row in rule.sensitivities.items()},
        mean=moved(rule.mean),
        deviation=moved(rule.deviation),
    )


def _report(report: Report, labels: Sequence[str], places: Sequence[int], clips: Sequence[int]) -> Report:
    matrix = report.confusion and tuple(tuple(report.confusion[row][column] for column in places) for row in places)
    return replace(
        report,
        per_label={label: report.per_label[label] for label in labels},
        confusion=matrix,
        unvalidated_labels=tuple(label for label in labels if label in report.unvalidated_labels),
        suspects=tuple(replace(suspect, clip=clips[suspect.clip]) for suspect in report.suspects),
    )
