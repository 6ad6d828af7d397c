"""What was found in an upload beside good clips: files that are left out, and clips that are used but odd."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from aspl.report import MAX_ROWS, ClipWarning, LeftOut

# Findings travel in records, answers and adapters' files: no longer texts than these.
MAX_FILE_CHARS = 200
MAX_DETAIL_CHARS = 300


@dataclass(frozen=True)
class Findings:
    """The first of the files left out and of the warnings, and how many of each there are."""

    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[ClipWarning, ...] = ()
    num_left_out: int = 0
    num_warnings: int = 0

    @classmethod
    def of(cls, left_out: Iterable[LeftOut], warnings: Iterable[ClipWarning]) -> "Findings":
        """Findings of any number, bounded."""
        left_out, warnings = list(left_out), list(warnings)
        return cls(tuple(left_out[:MAX_ROWS]), tuple(warnings[:MAX_ROWS]), len(left_out), len(warnings))

    def beside(self, left_out: Iterable[LeftOut]) -> "Findings":
        """The same, after these further files that are left out."""
        further = tuple(left_out)
        rows = (*further, *self.left_out)[:MAX_ROWS]
        return replace(self, left_out=rows, num_left_out=self.num_left_out + len(further))

    def warned(self, warnings: Iterable[ClipWarning]) -> "Findings":
        """The same, after these further warnings."""
        further = tuple(warnings)
        rows = (*further, *self.warnings)[:MAX_ROWS]
        return replace(self, warnings=rows, num_warnings=self.num_warnings + len(further))

    def to_json(self) -> dict[str, Any]:
        """The findings as a record, an answer and a report have them."""
        values = asdict(self)
        return {**values, "left_out": list(values["left_out"]), "warnings": list(values["warnings"])}


def shown_name(filename: str) -> str:
    """A client's file name as it is shown: text that UTF-8 can write, of bearable length, its end above all."""
    text = filename.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_FILE_CHARS else "…" + text[1 - MAX_FILE_CHARS :]


def fault(code: str, detail: str) -> dict[str, str]:
    """Why a file is left out."""
    is_long = len(detail) > MAX_DETAIL_CHARS
    return {"code": code, "detail": detail[: MAX_DETAIL_CHARS - 1] + "…" if is_long else detail}
