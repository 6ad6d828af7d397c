"""What the export of a version says of the channels of its clips, where an archive that is to be taught is one."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

from adapters_store import Channel, checked_channels
from jobs.disk import disk_faults

LISTED = PurePosixPath("clips.json")
"""In the archive; in an upload's directory it has the name of `KEPT`."""
KEPT = "exported.json"
MAX_BYTES = 32 * 2**20
MAX_CHANNELS = 1000


@dataclass(frozen=True)
class Exported:
    """Attributes:
    channel: of the version itself; None where it has none.
    channels: those that its clips came through, by their ids.
    marks: of each clip, by its id, the channel that it came through; "" of one as it came.
    level_db: that the version hears at, to which its channels belong; None for as clips were recorded.
    """

    channel: Channel | None = None
    channels: Mapping[str, Channel] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    level_db: float | None = None

    @property
    def is_as_recorded(self) -> bool:
        """Whether it has channels that were told from clips as loud as they were recorded."""
        return self.level_db is None and bool(self.channel or self.channels)

    @classmethod
    def read(cls, directory: Path) -> Self:
        """What `keep` found in an upload's archive; nothing where that was no export."""
        try:
            return cls._parsed(json.loads((directory / KEPT).read_bytes()))
        except FileNotFoundError:
            return cls()

    @classmethod
    def _parsed(cls, value: Any) -> Self:
        channels = checked_channels(value["channels"])
        marks = {row["id"]: row["channel"] or "" for row in value["clips"]}
        if len(channels) > MAX_CHANNELS or not set(marks.values()) <= {"", *channels}:
            raise ValueError("a clip's channel is not there")
        own = value["channel"] and checked_channels({"own": value["channel"]})["own"]
        level_db = value.get("level_db")  # exports of earlier releases have none
        return cls(own, channels, marks, None if level_db is None else float(level_db))

    @classmethod
    @disk_faults()
    def keep(cls, path: Path, directory: Path) -> None:
        """Keep what the file says in an upload's directory; nothing where it is no export's."""
        if path.stat().st_size > MAX_BYTES:
            return
        try:
            cls._parsed(json.loads(path.read_bytes()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        shutil.copyfile(path, directory / KEPT)
