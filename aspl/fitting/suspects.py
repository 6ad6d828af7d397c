"""Clips that may bear a wrong label: held out, they sound like another label, or like nothing else of theirs."""

from dataclasses import dataclass

import numpy as np

# n clips, K labels

LISTED_ODDS = 8.0  # another label has to be so many times as likely as the clip's own


@dataclass(frozen=True, eq=False)
class Suspects:
    """Attributes:
    margin: `[n]`, the own label's held-out log-probability less that of the likeliest other; NaN where not held out.
    ranked: clips, worst first.
    is_listed: `[n]`.
    sounds_like: `[n]`, the likeliest other label.
    """

    margin: np.ndarray
    ranked: np.ndarray
    is_listed: np.ndarray
    sounds_like: np.ndarray


def find_suspects(held_out: np.ndarray, classes: np.ndarray, folds: np.ndarray, sharpness: float) -> Suspects:
    """Rank clips by held-out scores `[n, K + 1]`; see `aspl.heads.ridge_head.HeadFit`."""
    rows = np.arange(len(classes))
    others = held_out[:, :-1].copy()
    own = others[rows, classes]
    others[rows, classes] = -np.inf
    margin = np.where(folds < 0, np.nan, sharpness * (own - others.max(1)))
    order = np.argsort(margin, kind="stable")
    return Suspects(
        margin=margin,
        ranked=order[: int((folds >= 0).sum())],
        is_listed=margin < -np.log(LISTED_ODDS),
        sounds_like=others.argmax(1),
    )
