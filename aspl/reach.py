"""How high up recordings reach: those of a telephone end at 4 kHz, and so does all that is heard through it.

What is taught from such recordings must not be known by its missing highs, which any other sound behind the same device
lacks too: so the background is heard as if through that device beside as it is.
"""

from collections.abc import Iterable

import numpy as np

# M mel bins

# Half of usual sample rates; a background is heard anew for each, so there are few.
BANDS_HZ = (2000.0, 4000.0, 5500.0, 8000.0)
SLACK = 3  # mel bins above a band, into which the spectrum of what is loud within it leaks
EMPTY_DB, EMPTY_BELOW_PEAK_DB = -88.0, 75.0  # the log-mel's floor with a trace of rounding; and what may leak


def band_of(curves: Iterable[np.ndarray | None], centres_hz: np.ndarray) -> int | None:
    """Return from which mel bin on half of the clips and more are empty, None where they reach all the way up.

    Args:
        curves: `[M]` in dB each, see `aspl.curves`.
        centres_hz: `[M]`, of the mel bins.
    """
    reaches = [reach for curve in curves if curve is not None and (reach := _reach(curve)) is not None]
    if not reaches:
        return None
    reach = np.median(reaches)
    ends = (first_above(hz, centres_hz) for hz in BANDS_HZ)
    return next((end for end in ends if reach < end + SLACK < len(centres_hz)), None)


def first_above(hz: float, centres_hz: np.ndarray) -> int:
    """Return the first mel bin above a frequency."""
    return int(np.searchsorted(centres_hz, hz, side="right"))


def _reach(curve: np.ndarray) -> int | None:
    """Return the highest mel bin in which something sounds; None where nothing does."""
    sounding = np.flatnonzero(curve > max(EMPTY_DB, curve.max() - EMPTY_BELOW_PEAK_DB))
    return int(sounding[-1]) if len(sounding) else None
