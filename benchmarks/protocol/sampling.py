"""The shots of a seed, drawn as the releases draw them."""

from collections.abc import Sequence

import numpy as np

from benchmarks.protocol.layout import ListedClip


def draw_shots(clips: Sequence[ListedClip], *, shots: int, seed: int) -> list[int]:
    """Return the rows of a train list that are taught.

    Label after label in sorted order, numpy's legacy generator seeded once draws `shots` rows without replacement,
    which is what pandas' `sample` does under `numpy.random.seed`. A label with fewer rows gives them all, and draws
    nothing.
    """
    generator = np.random.RandomState(seed)
    drawn: list[int] = []
    for label in sorted({clip.label for clip in clips}):
        rows = [row for row, clip in enumerate(clips) if clip.label == label]
        if len(rows) >= shots:
            rows = [rows[place] for place in generator.choice(len(rows), size=shots, replace=False)]
        drawn += rows
    return drawn
