"""What a base model hears of one clip: all that a fit in closed form needs of it, and small enough to be kept."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Self

import numpy as np

from aspl.errors import TrainingDataInvalid
from aspl.features import AudioFeatures
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.live_clip import LiveClip, waveform_of
from aspl.fitting.speed_copies import copy_of
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import AudioPrompts
from aspl.sound.faults import is_clipped, is_silent
from aspl.sound.level import HEARD_AT_DB

# S numbers of all stages, D joint width, M mel bins

CHUNK_CLIPS = 16  # log-mels of more are not held at once
HEADER, NUM_COPIES = struct.Struct("<4sIIIq??"), struct.Struct("<I")
MAGIC, MAGIC_WITHOUT_PEAKS, MAGIC_WITH_COPIES = b"heh2", b"heh1", b"heh4"
MAGIC_WITH_EARLIER_COPIES = b"heh3"  # whose windows are all filled as the clip's: they count as none
COUNTS_COPIES = (MAGIC_WITH_COPIES, MAGIC_WITH_EARLIER_COPIES)


@dataclass(frozen=True, eq=False)
class HeardClip:
    """The features of one clip under no audio prompt, of a `LiveClip` behind its channel.

    Attributes:
        stages: float32 `[S]`, less the peaks where an earlier release heard the clip; `joint`: float32 `[D]`, of unit
            norm; both pooled over the clip's windows.
        curve: float32 `[M]` in dB, see `aspl.curves`; None where nothing of the clip sounds.
        order: by which clips sort, whatever order they came in; see `digest_of`.
        is_silent, is_clipped: see `aspl.sound.faults`.
        copies: float32 `[S + D]` each, stages and joint; see `aspl.fitting.speed_copies`.
    """

    stages: np.ndarray
    joint: np.ndarray
    curve: np.ndarray | None
    order: int
    is_silent: bool = False
    is_clipped: bool = False
    copies: Sequence[np.ndarray] = ()

    def to_bytes(self) -> bytes:
        """The clip as it is kept; without copies as a release reads it that knows of none."""
        curve = np.empty(0) if self.curve is None else self.curve
        parts = [np.ascontiguousarray(part, np.float32) for part in (self.stages, self.joint, curve, self.copies)]
        magic = MAGIC_WITH_COPIES if len(self.copies) else MAGIC
        header = HEADER.pack(magic, *map(len, parts[:-1]), self.order, self.is_silent, self.is_clipped)
        count = NUM_COPIES.pack(len(self.copies)) if len(self.copies) else b""
        return header + count + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The clip that `to_bytes` wrote; raises TrainingDataInvalid for anything else."""
        if len(data) < HEADER.size:
            raise TrainingDataInvalid("what was kept of a clip is cut short")
        magic, *lengths, order, is_silent, is_clipped = HEADER.unpack_from(data)
        start, num_copies, width = HEADER.size, 0, lengths[0] + lengths[1]
        if magic in COUNTS_COPIES and len(data) >= start + NUM_COPIES.size:
            (num_copies,), start = NUM_COPIES.unpack_from(data, start), start + NUM_COPIES.size
        is_known = magic in (MAGIC, MAGIC_WITHOUT_PEAKS, *COUNTS_COPIES)
        if not is_known or len(data) != start + 4 * (sum(lengths) + num_copies * width):
            raise TrainingDataInvalid("what was kept of a clip is not what a clip is heard as")
        values = np.frombuffer(data, np.float32, offset=start)
        stages, joint, curve, copies = np.split(values, np.cumsum(lengths))
        copies = copies.reshape(num_copies, width) if magic == MAGIC_WITH_COPIES else ()
        return cls(stages, joint, curve if len(curve) else None, order, is_silent, is_clipped, copies)


def hear_clips(
    clap: FrozenClap,
    clips: Iterable[np.ndarray | LiveClip | HeardClip],
    *,
    level_db: float | None = HEARD_AT_DB,
    copies: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[HeardClip]:
    """Yield what a fit hears of each clip, of a few waveforms at a time; those that are heard already as they are.

    Args:
        clips: waveforms `[N]` at 48 kHz, or such that came through a channel; they are taken from a generator no sooner
            than they are heard.
        level_db: to which waveforms are brought first, as a fit by default does; None for as they were recorded.
        copies: how many of each are heard too, see `aspl.fitting.speed_copies`.
        tick: called now and then; may raise.
    """
    pending = iter(clips)
    while chunk := list(islice(pending, CHUNK_CLIPS)):
        new = [clip for clip in chunk if not isinstance(clip, HeardClip)]
        features = ClipFeatures(clap, new, level_db=level_db, tick=tick) if new else None
        heard = iter(heard_clips(features, new, copies=copies, tick=tick) if features else ())
        yield from (clip if isinstance(clip, HeardClip) else next(heard) for clip in chunk)


def heard_clips(
    clips: ClipFeatures,
    waveforms: Sequence[np.ndarray | LiveClip],
    *,
    copies: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[HeardClip]:
    """Yield what `hear_clips` would of the waveforms of `clips`, which are not heard again where that is kept."""
    features = clips.bare or clips.hear(range(len(clips)), AudioPrompts(), stages=True, tick=tick)
    stages, joint = _arrays(features)
    orders = [digest_of(clip) for clip in waveforms]
    lengths = [len(waveform_of(clip)) for clip in waveforms]
    copied = hear_copies(clips, orders, lengths, copies, tick=tick)
    for row, clip in enumerate(waveforms):
        faults = is_silent(waveform_of(clip)), is_clipped(waveform_of(clip))
        yield HeardClip(stages[row], joint[row], clips.curve(row), orders[row], *faults, copied[row])


def hear_copies(
    clips: ClipFeatures,
    orders: Sequence[int],
    lengths: Sequence[int],
    copies: int,
    *,
    tick: Callable[[], None] = lambda: None,
) -> Sequence[Sequence[np.ndarray]]:
    """Return so many copies of each clip, see `HeardClip`.

    Args:
        lengths: how many samples the clips' waveforms have.
    """
    if not copies:
        return [()] * len(orders)
    centres_hz = clips.clap.mel_centres_hz
    log_mels = [
        copy_of(clips.log_mels_of(clip), number, centres_hz, num_samples=length, order=order)
        for clip, (order, length) in enumerate(zip(orders, lengths, strict=True))
        for number in range(copies)
    ]
    heard = ClipFeatures.of_log_mels(clips.clap, log_mels)
    features = heard.hear(range(len(heard)), AudioPrompts(), stages=True, tick=tick)
    return np.concatenate(_arrays(features), axis=1).reshape(len(orders), copies, -1)


def _arrays(features: AudioFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Return stages and joint in float32."""
    stages, joint = (part.float().cpu().numpy() for part in (features.stages, features.joint))
    return stages, joint


def digest_of(clip: np.ndarray | LiveClip | HeardClip) -> int:
    """A number by which clips sort whatever order they came in; equal clips have equal ones."""
    if isinstance(clip, HeardClip):
        return clip.order
    clip = waveform_of(clip)
    return int.from_bytes(sha256(np.ascontiguousarray(clip, np.float32)).digest()[:7], "big")
