"""What is known of the eleven sets of PALM and ASPL: how they are split, and what the names of their files say."""

import re
from dataclasses import dataclass

FOLDER, SUFFIX = r"(?:.*/)?", r"\.\w+$"


@dataclass(frozen=True)
class SetFacts:
    """One set as published.

    Attributes:
        num_tests: clips to test on, of each fold; one number where there is a single split.
        recording: a pattern whose group names the recording that a clip was cut from; None where names do not tell.
        performer: the same for who or what is heard, which two sides of a split should not share.
        performers: what they are called, as "actors".
    """

    num_labels: int
    num_tests: tuple[int, ...]
    recording: str | None = None
    performer: str | None = None
    performers: str = ""


def name_pattern(pattern: str) -> str:
    """Return a pattern of whole paths whose file names, without their suffix, are `pattern`."""
    return FOLDER + pattern + SUFFIX


_FREESOUND = name_pattern(r"\d-(\d+)-[A-Z](?:-\d+)?")  # fold-recording-take[-target]
FACTS = {
    "Beijing-Opera": SetFacts(4, (48, 47, 47, 47, 47)),
    "CREMA-D": SetFacts(6, (1489,), performer=name_pattern(r"(\d+)_.+"), performers="actors"),
    "ESC50": SetFacts(50, (400,) * 5, recording=_FREESOUND),
    "ESC50-Actions": SetFacts(10, (80,) * 5, recording=_FREESOUND),
    "GT-Music-Genre": SetFacts(10, (200,)),
    "NS-Instruments": SetFacts(10, (4096,), performer=name_pattern(r"(.+)-\d+-\d+"), performers="instruments"),
    "RAVDESS": SetFacts(8, (491,), performer=name_pattern(r"\d+(?:-\d+){5}-(\d+)"), performers="actors"),
    "SESA": SetFacts(4, (105,)),
    "TUT2017": SetFacts(15, (1170, 3507, 3507, 3510), recording=name_pattern(r"(.+?)_\d+_\d+")),
    "UrbanSound8K": SetFacts(
        10, (873, 888, 925, 990, 936, 823, 838, 806, 816, 837), recording=name_pattern(r"(\d+)-\d+-\d+-\d+")
    ),
    "VocalSound": SetFacts(6, (3591,), performer=name_pattern(r"([mf]\d+)_\d+_.+"), performers="speakers"),
}
UNKNOWN = SetFacts(0, ())


def named_by(pattern: str | None, path: str) -> str | None:
    """Return what a path names by the pattern's group; None without a pattern, or for a path of another kind."""
    found = re.match(pattern, path) if pattern else None
    return found.group(1) if found else None
