"""What is wrong with a waveform itself: nothing is in it, or the recorder was overdriven."""

import numpy as np

from aspl.sound.clip import SILENCE_AMPLITUDE

# Amplitudes in hundredths of the highest. An overdriven recording has far more of them at one level than just below it,
# and a converter of rates afterwards spreads that level by no more than this and lets some overshoot it.
LEVELS = 100
LOUD_FROM, CLIPPED_FROM = 10, 60
BELOW = slice(-8, -2)  # the levels that one is compared with
CLIPPED_RATIO = 6.0
CLIPPED_SHARE = 0.01  # of what is loud


def is_silent(waveform: np.ndarray) -> bool:
    """Say whether a clip is digital silence."""
    return bool(np.abs(waveform).max() < SILENCE_AMPLITUDE)


def is_clipped(waveform: np.ndarray) -> bool:
    """Say whether the tops of a waveform are flat, as an overdriven recorder leaves them.

    It is not seen in what a lossy codec has smoothed, and in half of what was brought from another rate; tones that a
    program made are not taken for it.
    """
    amplitudes = np.abs(waveform)
    if is_silent(waveform):
        return False
    levels = (amplitudes * (LEVELS / amplitudes.max())).astype(np.uint8).clip(max=LEVELS - 1)
    counts = np.bincount(levels, minlength=LEVELS)
    loud = counts[LOUD_FROM:].sum()
    for level in range(CLIPPED_FROM, LEVELS):
        at_level = counts[level - 1 : level + 1].sum()
        if at_level <= CLIPPED_SHARE * loud:
            continue
        below = np.median(counts[level + BELOW.start : level + BELOW.stop])
        if below > 0 and at_level / 2 > CLIPPED_RATIO * (below + 1 + loud / 1000):
            return True
    return False
