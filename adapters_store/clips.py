"""What a version was taught with, as the store keeps it: the list of its clips, and what `publish` is given of them."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from adapters_store.errors import AdapterCorrupt
from adapters_store.names import DIGEST

KEEPS = ("nothing", "features", "audio")
"""How much of its clips a version keeps, from the least to the most."""

LIST_FORMAT = 1
MAX_CHANNEL_BINS = 4096
MAX_CHANNEL_DB = 1000.0

Channel = tuple[float, ...]
"""In dB a mel bin, what is added to a clip's log-mel."""


def channel_id(channel: Channel) -> str:
    """What a channel is called: equal ones alike."""
    return hashlib.sha256(json.dumps(channel).encode()).hexdigest()[:12]


def checked_channels(value: Mapping[str, Any]) -> dict[str, Channel]:
    """Channels by id, out of JSON; raises ValueError, TypeError or AttributeError for what are none."""
    channels = {str(name): tuple(float(level) for level in row) for name, row in value.items()}
    for row in channels.values():
        if not 0 < len(row) <= MAX_CHANNEL_BINS or not all(abs(level) <= MAX_CHANNEL_DB for level in row):  # nor NaN
            raise ValueError("a channel is none")
    return channels


@dataclass(frozen=True)
class TaughtClip:
    """One clip of a version.

    Attributes:
        id: SHA-256 of its bytes, 64 hex digits; the same clip may come more than once in a list.
        label: what it was taught as; None of the background.
        file: the tenant's name for it, for people.
        held_out: {"label", "score"}, what the version answered to it without having heard it; None where it never was
            held out.
        channel: what brings it back to the channel that was taught, by its id in the list's `channels`; None of those
            that are taught as they came.
        has_audio: whether its bytes were kept when the version was published.
    """

    id: str
    label: str | None
    is_background: bool = False
    file: str = ""
    duration_s: float | None = None
    size_bytes: int = 0
    held_out: Mapping[str, Any] | None = None
    channel: str | None = None
    has_audio: bool = False


@dataclass(frozen=True)
class ClipList:
    """What a version was taught with.

    Attributes:
        keep: one of `KEEPS`.
        packs: by the base model's fingerprint the names of the packs of its clips' features, oldest first. A clip may
            be in none of them: it was taught by a method that wants audio alone, or was erased.
        channels: by `channel_id` what brings clips back that came through a channel, in dB a mel bin. They are here and
            not in the version that told them, which may be deleted.
    """

    keep: str
    clips: tuple[TaughtClip, ...]
    packs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """The clips that the version names."""
        return frozenset(clip.id for clip in self.clips)

    @property
    def kept_ids(self) -> frozenset[str]:
        """Those whose bytes were kept."""
        return frozenset(clip.id for clip in self.clips if clip.has_audio)

    @property
    def pack_names(self) -> frozenset[str]:
        """The packs of all base models."""
        return frozenset(name for names in self.packs.values() for name in names)

    def to_bytes(self) -> bytes:
        """The list as its file holds it: JSON, compressed, since every version has one."""
        clips = [vars(clip) for clip in self.clips]
        value = {"format": LIST_FORMAT, "keep": self.keep, "clips": clips, "packs": dict(self.packs)}
        if self.channels:
            value["channels"] = dict(self.channels)
        return gzip.compress(json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), 6, mtime=0)

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Self:
        """The list that `to_bytes` wrote; raises AdapterCorrupt, which calls it `what`."""
        try:
            value = json.loads(gzip.decompress(data))
            known = {f.name for f in fields(TaughtClip)}
            clips = tuple(TaughtClip(**{k: v for k, v in row.items() if k in known}) for row in value["clips"])
            packs = {fingerprint: tuple(names) for fingerprint, names in value["packs"].items()}
            channels = checked_channels(value.get("channels") or {})
            marks = {clip.channel for clip in clips if clip.channel}
            is_sound = value["keep"] in KEEPS and all(DIGEST.fullmatch(clip.id) for clip in clips)
            if not is_sound or marks - channels.keys():
                raise ValueError("it holds what no list can")
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AdapterCorrupt(f"{what} is damaged: {str(error)[:80]}.") from error
        return cls(value["keep"], clips, packs, channels)


@dataclass(frozen=True)
class Taught:
    """What `AdapterStore.publish` is given of the clips that a version was taught with.

    Attributes:
        keep: how much of them is kept, one of `KEEPS`.
        clips: all of them, those of the version that it goes on from among them.
        audio: reads the bytes of clips that the adapter may not have yet, by id.
        fingerprint: of the base model that `features` are of.
        features: what that model hears of clips that are new, by id, as bytes that the store does not look into.
        base: the list of the version of the same adapter that it goes on from, whose packs it shares.
        channels: as `ClipList` has them.
    """

    keep: str
    clips: tuple[TaughtClip, ...]
    audio: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    fingerprint: str = ""
    features: Mapping[str, bytes] = field(default_factory=dict)
    base: ClipList | None = None
    channels: Mapping[str, Channel] = field(default_factory=dict)

    @classmethod
    def as_before(cls, base: ClipList | None) -> Self | None:
        """Of a version that was taught with what `base` was: its thresholds were set, or its channel."""
        return base and cls(base.keep, base.clips, base=base, channels=base.channels)

    def listed(self, *, audio: Iterable[str]) -> tuple[TaughtClip, ...]:
        """The clips as the version's list has them, where the store holds the bytes of `audio`."""
        held = frozenset(audio) if self.keep == "audio" else frozenset()
        return tuple(
            replace(clip, has_audio=clip.id in held, file="" if self.keep == "nothing" else clip.file)
            for clip in self.clips
        )
