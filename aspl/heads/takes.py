"""Takes of one thing: clips of a label so alike that one held out is still heard through the others.

Leave-one-out promises too much where a label's clips are several takes of a few sources. Clips of a label whose squared
distance is under a share of the median within labels are linked, and what is linked is held out together.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

# n clips, F features

TAKE_DISTANCE = 0.3


def find_takes(features: np.ndarray, classes: np.ndarray, *, share: float = TAKE_DISTANCE) -> np.ndarray:
    """Return `[n]`, equal numbers for clips that are takes of one thing.

    A label whose clips are all linked is left as single clips: nothing of it would remain to compare with.

    Args:
        features: `[n, F]`, whitened.
        classes: `[n]`.
        share: of the median squared distance between clips of one label, 0 to 1.
    """
    groups = np.arange(len(classes))
    pairs = {
        index: _distances(features[rows]) for index in np.unique(classes) if len(rows := _rows(classes, index)) > 2
    }
    apart = [distance[np.triu_indices(len(distance), 1)] for distance in pairs.values()]
    if not apart:
        return groups
    limit = share * np.median(np.concatenate(apart))
    for index, distance in pairs.items():
        near = distance < limit
        if np.count_nonzero(near) == len(near):
            continue  # each to itself alone, which is quick to see
        num_takes, linked = connected_components(near, directed=False)
        if num_takes > 1:
            rows = _rows(classes, index)
            groups[rows] = rows[np.unique(linked, return_index=True)[1][linked]]
    return groups


def find_copies(classes: np.ndarray, digests: Sequence[Hashable]) -> np.ndarray:
    """Return `[n]`, for each clip the number of the first that is equal to it and of its label."""
    first: dict[Hashable, int] = {}
    keys = zip(classes.tolist(), digests, strict=True)
    return np.array([first.setdefault(key, clip) for clip, key in enumerate(keys)], dtype=int)


def in_two_classes(classes: np.ndarray, digests: Sequence[Hashable]) -> np.ndarray:
    """Return `[n]`, which clips are equal to one of another label."""
    labels_of: dict[Hashable, set[int]] = {}
    for index, digest in zip(classes.tolist(), digests, strict=True):
        labels_of.setdefault(digest, set()).add(index)
    return np.array([len(labels_of[digest]) > 1 for digest in digests], dtype=bool)


def _joined(takes: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Return the takes, those that share a copy being one."""
    takes = takes.copy()
    for clip in np.flatnonzero(copies != np.arange(len(copies))):
        takes[takes == takes[clip]] = takes[copies[clip]]
    return takes


def _rows(classes: np.ndarray, index: int) -> np.ndarray:
    return np.flatnonzero(classes == index)


def _distances(features: np.ndarray) -> np.ndarray:
    """Return squared distances `[n, n]`."""
    norms = (features**2).sum(1)
    return np.maximum(norms[:, None] + norms - 2 * features @ features.T, 0.0)


MAX_FOLDS, MANY_CLIPS, FOLDS_OF_MANY = 16, 1000, 4  # of many clips a quarter is no great loss


def make_folds(classes: np.ndarray, takes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return `[n]`, the fold in which each clip is held out; every fold takes its share of every label.

    Leaving out one clip alone leaves its label weaker than the others, and the answer too often wrong; a clip of every
    label leaves together. A label's takes of one thing share a fold, and no fold holds all that a label has of several
    takes. The only take of a label is in fold -1: nothing of it remains to compare with. So is a clip that is equal to
    one of another label; those that are equal to one of their own are takes of one thing: equal clips are never on both
    sides.

    Args:
        classes, takes: `[n]`; see `find_takes`.
        order: `[n]`, numbers by which clips are sorted, so that the order of arrival does not matter; equal for
            equal clips.
    """
    max_folds = MAX_FOLDS if len(classes) <= MANY_CLIPS else FOLDS_OF_MANY
    folds = np.full(len(classes), -1)
    digests = order.tolist()
    takes, is_ambiguous = _joined(takes, find_copies(classes, digests)), in_two_classes(classes, digests)
    for index in np.unique(classes):
        rows = np.flatnonzero((classes == index) & ~is_ambiguous)
        things, thing, sizes = np.unique(takes[rows], return_inverse=True, return_counts=True)
        if len(things) < 2:
            continue
        first = np.full(len(things), np.iinfo(order.dtype).max)
        np.minimum.at(first, thing, order[rows])
        place = np.empty(len(things), int)
        place[np.lexsort((things, first, -sizes))] = np.arange(len(things))
        folds[rows] = place[thing] % min(max_folds, len(things))
    return folds
