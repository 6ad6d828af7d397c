"""How sure an answer is to be of something that was taught, and from where on it counts as known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

# B rows, K labels

SENSITIVITIES = ("balanced", "high", "normal", "low")
MOST_CAUTIOUS_FIRST = ("low", "normal", "high")
MAX_SLOPE = 1e9


@dataclass(frozen=True)
class KnownRule:
    """An adapter's rule: known_score = 1 / (1 + exp(-slope (raw - middle))), an answer under its threshold unknown.

    The raw score is the head's lead over the background; where the head hears none, it is the winning label's score, in
    `deviation` from `mean`.

    Attributes:
        thresholds: `[K]`, of the known score where the label wins, by label: those in force.
        sensitivities: the thresholds that each of SENSITIVITIES stands for.
        mean, deviation: `[K]`, of what the background scores under each label; None where the head hears it itself.
    """

    slope: float
    middle: float
    thresholds: tuple[float, ...]
    sensitivities: Mapping[str, tuple[float, ...]]
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    @classmethod
    def from_facts(cls, facts: Any, num_labels: int) -> Self:
        """Return the rule that JSON tells of; raises ValueError for anything that cannot be one."""
        if not isinstance(facts, dict) or facts.keys() != set(cls.__dataclass_fields__):
            raise ValueError("it lacks or doubles a field")
        sensitivities = facts["sensitivities"]
        if not isinstance(sensitivities, dict) or sensitivities.keys() != set(SENSITIVITIES):
            raise ValueError(f"its sensitivities are not {', '.join(SENSITIVITIES)}")
        rows = {"thresholds": facts["thresholds"], **sensitivities}
        rows |= {name: facts[name] for name in ("mean", "deviation") if facts[name] is not None}
        if (facts["mean"] is None) != (facts["deviation"] is None):
            raise ValueError("it has a mean without a deviation")
        numbers = [
            facts["slope"],
            facts["middle"],
            *(value for row in rows.values() for value in _row(row, num_labels)),
        ]
        if not all(_is_number(value) for value in numbers) or not 0 < facts["slope"] <= MAX_SLOPE:
            raise ValueError("it holds something that is no usable number")
        if facts["deviation"] is not None and min(facts["deviation"]) <= 0:
            raise ValueError("a deviation is not above 0")
        return cls(
            float(facts["slope"]),
            float(facts["middle"]),
            tuple(facts["thresholds"]),
            {name: tuple(row) for name, row in sensitivities.items()},
            None if facts["mean"] is None else tuple(facts["mean"]),
            None if facts["deviation"] is None else tuple(facts["deviation"]),
        )

    def set_as(self, labels: Sequence[str], before: Self, labels_before: Sequence[str]) -> tuple[Self, list[str]]:
        """Return this rule, of `labels`, with thresholds as they were set in an earlier one, and which labels keep a
        number of somebody's own.

        A threshold that a sensitivity stands for there is what that stands for here. A label that was not there has
        the sensitivity of all that were, if they have one in common.
        """
        names = {label: before._sensitivity_of(place) for place, label in enumerate(labels_before)}
        common = next(iter(names.values())) if len(set(names.values())) == 1 else None
        numbers = dict(zip(labels_before, before.thresholds, strict=True))
        by_hand = [label for label in labels if label in names and names[label] is None]

        def threshold(place: int, label: str) -> float:
            if label in by_hand:
                return numbers[label]
            return self.sensitivities[names.get(label, common) or SENSITIVITIES[0]][place]

        thresholds = tuple(threshold(place, label) for place, label in enumerate(labels))
        return replace(self, thresholds=thresholds), by_hand

    def _sensitivity_of(self, place: int) -> str | None:
        """Return what stands for the threshold in force of a label; None where somebody set a number.

        Of few clips several sensitivities come to the same: that which all fits set counts, else the more cautious.
        """
        order = (SENSITIVITIES[0], *MOST_CAUTIOUS_FIRST)
        return next((name for name in order if self.sensitivities[name][place] == self.thresholds[place]), None)

    def scores(self, labels: np.ndarray, lead: np.ndarray | None) -> np.ndarray:
        """Return known scores `[B]`, 0 to 1, of a head's scores `[B, K]` and of its lead over the background, `[B]`."""
        if self.mean is None or self.deviation is None:
            assert lead is not None  # no file is loaded whose rule has neither
            return self.on_scale(lead)
        rows, winner = np.arange(len(labels)), labels.argmax(1)
        return self.on_scale((labels[rows, winner] - np.array(self.mean)[winner]) / np.array(self.deviation)[winner])

    def on_scale(self, raw: np.ndarray) -> np.ndarray:
        """Return known scores of raw ones."""
        return 1 / (1 + np.exp(-np.clip(self.slope * (raw - self.middle), -60, 60)))


def _row(row: Any, num_labels: int) -> list[Any]:
    if not isinstance(row, list | tuple) or len(row) != num_labels:
        raise ValueError(f"a row of it does not hold a number for each of {num_labels} labels")
    return list(row)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e9
