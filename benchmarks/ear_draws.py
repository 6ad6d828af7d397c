"""Draws of the ear's benchmark: who teaches what, from which clips, and what is heard afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# N clips of a set, D joint width, F stage statistics

TAUGHT_SHARE = 0.6
SPARE_CLIPS = 5  # a label needs so many beyond its shots
MOST_TESTED, FOREIGN_CLIPS, OWN_BACKGROUND_CLIPS = 30, 20, 10
MEANS_THE_SAME = ({"bass drum", "kick drum"}, {"fire", "fire crackling"}, {"hi hat", "cymbal"})

Clips = list[tuple[str, int]]  # (set, row)


@dataclass(frozen=True, eq=False)
class RecordingSet:
    """A labelled set as the model hears it; clips of one group come from one source, `groups` is None for none.

    Attributes:
        copies: of each clip, `[S + D]` each; see `aspl.fitting.speed_copies`.
        curves: of each clip, `[M]` in dB; see `aspl.curves`.
    """

    labels: np.ndarray
    groups: np.ndarray | None
    joint: np.ndarray
    stages: np.ndarray
    waveforms: Sequence[np.ndarray]
    copies: Sequence[Sequence[np.ndarray]] = ()
    curves: Sequence[np.ndarray | None] = ()


@dataclass(frozen=True)
class Draw:
    """One tenant: clips as (set, row), classes as indices of `taught`."""

    taught: tuple[str, ...]
    train: Clips
    train_classes: np.ndarray
    test: Clips
    test_classes: np.ndarray
    near: Clips
    foreign: Clips
    own_background: Clips


def draw(sets: Mapping[str, RecordingSet], name: str, shots: int, seed: int, *, share: float = TAUGHT_SHARE) -> Draw:
    """Return the draw of `seed`: of the labels with `shots` + 5 clips a share is taught, from `shots` clips each.

    Groups are split in half for each label, the odd one to teach with; other clips of a label are drawn at random.
    """
    recordings = sets[name]
    rng = np.random.default_rng([seed, shots, sum(map(ord, name))])
    names, counts = np.unique(recordings.labels, return_counts=True)
    eligible = names[counts >= shots + SPARE_CLIPS]
    num_taught = max(1, round(share * len(eligible)))
    taught = tuple(str(eligible[k]) for k in sorted(rng.permutation(len(eligible))[:num_taught]))
    parts = [_split(recordings, label, shots, rng) for label in taught]
    near = [row for label in names if label not in taught for row in _some(recordings, label, MOST_TESTED, rng)]
    foreign, own = _foreign(sets, name, taught, rng)
    return Draw(
        taught=taught,
        train=[(name, int(row)) for train, _ in parts for row in train],
        train_classes=np.repeat(np.arange(len(parts)), [len(train) for train, _ in parts]),
        test=[(name, int(row)) for _, test in parts for row in test],
        test_classes=np.repeat(np.arange(len(parts)), [len(test) for _, test in parts]),
        near=[(name, int(row)) for row in near],
        foreign=foreign,
        own_background=own,
    )


def mislabelled(drawn: Draw, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Return the draw's classes with a tenth of them wrong, the numbers of the wrong clips, and what drew them."""
    rng = np.random.default_rng([seed, shots, 1])
    right = drawn.train_classes
    num_wrong = max(1, round(len(right) / 10))
    wrong = rng.permutation(len(right))[:num_wrong]
    spoilt = right.copy()
    spoilt[wrong] = (right[wrong] + rng.integers(1, len(drawn.taught), num_wrong)) % len(drawn.taught)
    return spoilt, wrong, rng


def _split(
    recordings: RecordingSet, label: str, shots: int, rng: np.random.Generator
) -> tuple[Sequence[int], Sequence[int]]:
    rows = _some(recordings, label, len(recordings.labels), rng)
    if recordings.groups is None:
        return rows[:shots], rows[shots:][:MOST_TESTED]
    groups = rng.permutation(np.unique(recordings.groups[rows]))
    teaches = np.isin(recordings.groups[rows], groups[: (len(groups) + 1) // 2])
    return rows[teaches][:shots], rows[~teaches][:MOST_TESTED]


def _some(recordings: RecordingSet, label: str, most: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(np.flatnonzero(recordings.labels == label))[:most]


def _foreign(
    sets: Mapping[str, RecordingSet], name: str, taught: Sequence[str], rng: np.random.Generator
) -> tuple[Clips, Clips]:
    """Return 20 clips of each other set to test on, and ten others of them to be the tenant's background."""
    barred = set(taught).union(*(same for same in MEANS_THE_SAME if same & set(taught)))
    others = [other for other in sets if other != name]
    foreign: Clips = []
    own: Clips = []
    for other in others:
        rows = rng.permutation(np.flatnonzero(~np.isin(sets[other].labels, sorted(barred))))
        foreign += [(other, int(row)) for row in rows[:FOREIGN_CLIPS]]
        own += [(other, int(row)) for row in rows[FOREIGN_CLIPS:][: OWN_BACKGROUND_CLIPS // len(others)]]
    return foreign, own


def stack(sets: Mapping[str, RecordingSet], clips: Clips, what: str) -> np.ndarray:
    """Return `[len(clips), ...]` of one array (`joint` or `stages`) of the sets."""
    width = getattr(next(iter(sets.values())), what).shape[1]
    return np.array([getattr(sets[name], what)[row] for name, row in clips]).reshape(len(clips), width)
