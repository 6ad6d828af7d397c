"""What a label may be, in the one form that every way in brings it to; knows nothing of torch."""

import unicodedata
from collections.abc import Sequence

from aspl.errors import LabelsInvalid

MAX_LABEL_CHARS = 200
# No spelling is longer than this many times its composed form, and composing takes the square of a run of accents.
LONGEST_SPELLING = 4
# U+200C and U+200D: spelling in Persian, Hindi and many emoji, though `str.isprintable` refuses them.
JOINERS = "\u200c\u200d"
# Emoji that are younger than this Python's tables are not printable to it.
EMOJI = range(0x1F000, 0x1FB00)


def fold(text: str) -> str:
    """Bring a text to composed characters (NFC), one space for blanks of every kind, and none at its ends."""
    blanks_folded = " ".join(unicodedata.normalize("NFC", text).split())
    return blanks_folded.strip(f" {JOINERS}")


def fold_label(label: str, *, max_chars: int = MAX_LABEL_CHARS) -> str:
    """Return the label as it is kept, so that two spellings of one label become one.

    Args:
        max_chars: the most characters of the folded label.

    Raises:
        LabelsInvalid: a label that is empty, too long (naming the limit), or holds what cannot be printed.
    """
    folded = label if len(label) > LONGEST_SPELLING * max_chars else fold(label)
    if len(folded) > max_chars:
        detail = f"a label is longer than {max_chars} characters (max_label_chars): {folded[:40]!r}..."
        raise LabelsInvalid(detail, limit=("max_label_chars", max_chars))
    check_label(folded)
    return folded


def check_label(label: str) -> None:
    """Raise LabelsInvalid where a label is empty or holds a character that cannot be printed."""
    if not label.strip():
        raise LabelsInvalid("a label is empty")
    # Among what is not printable are half characters, which JSON can write and UTF-8 cannot.
    if odd := next((character for character in label if not _is_usable(character)), None):
        raise LabelsInvalid(f"the label {label!r} holds U+{ord(odd):04X}, which cannot be printed: leave it out")


def check_distinct(labels: Sequence[str]) -> None:
    """Raise LabelsInvalid where a label comes twice."""
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise LabelsInvalid(f"the label {label!r} comes twice")
        seen.add(label)


def _is_usable(character: str) -> bool:
    return character.isprintable() or character in JOINERS or ord(character) in EMOJI
