"""What is said of the files of an upload: which are clips, which cannot be used, and which are odd.

Nothing here imports torch, which the worker's own process must not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aspl.errors import AsplError
from aspl.report import ClipWarning
from jobs.base import Base
from jobs.errors import UploadTooLarge
from jobs.findings import fault
from jobs.limits import UploadLimits
from jobs.uploaded_clip import UploadedClip

if TYPE_CHECKING:
    from aspl.sound.clip import Clip

# Kinds that are decoded and kinds that are not: who sends one of either means a clip.
AUDIO_SUFFIXES = {
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".flac", ".ogg", ".oga",
    ".opus", ".spx", ".mp2", ".mp3", ".mpga", ".aac", ".adts", ".m4a", ".m4b", ".m4p", ".mp4", ".3gp", ".3g2", ".mov",
    ".webm", ".weba", ".mka", ".wma", ".amr", ".awb", ".ape", ".wv", ".tta", ".mpc", ".dsf", ".dff", ".ac3", ".eac3",
    ".dts", ".ra", ".rm", ".gsm", ".sph", ".nist", ".voc", ".raw", ".pcm", ".sln", ".qcp", ".vox",
}  # fmt: skip
# Pictures whose container is that of MP4 audio.
PICTURE_SUFFIXES = {".heic", ".heif", ".avif"}


def is_clip(file: Path, name: str) -> bool:
    """Whether a file is audio by its first bytes, or by its name: a broken clip is to be named as one."""
    from aspl.sound.containers import identify

    suffix = PurePosixPath(name).suffix.lower()
    if suffix in AUDIO_SUFFIXES or suffix in PICTURE_SUFFIXES:
        return suffix in AUDIO_SUFFIXES
    with file.open("rb") as opened:
        try:
            identify(opened)
        except AsplError:
            return False
    return True


def check_decoded(
    files: Sequence[tuple[UploadedClip, Path]],
    limits: UploadLimits,
    on_audio: Callable[[float], None] = lambda seconds: None,
) -> Iterator[tuple[UploadedClip, list[ClipWarning]]]:
    """Each clip of an upload, decoded: with its error where it cannot be used, and with what is odd about it.

    `on_audio` is called with each further duration that was decoded, in seconds; what it raises ends the check. Raises
    UploadTooLarge where more is decoded than an upload may hold, clips included that are refused in the end.
    """
    # Imported here because the worker's parent process stages nothing, and is to stay small.
    from aspl.sound.clip import decode

    total_s = 0.0

    def count(seconds: float) -> None:
        nonlocal total_s
        on_audio(seconds)
        total_s += seconds
        if total_s > limits.max_upload_s:
            raise UploadTooLarge(f"more than {limits.max_upload_s:g} seconds of audio (max_upload_s)")

    for clip, path in files:
        try:
            with path.open("rb") as file:
                decoded = decode(file, max_duration_s=limits.max_clip_s, on_audio=count)
        except AsplError as error:
            yield replace(clip, error=fault(error.code, str(error))), []
            continue
        yield replace(clip, duration_s=round(decoded.duration_s, 3)), list(oddities(clip, decoded))


def oddities(clip: UploadedClip, decoded: "Clip") -> Iterator[ClipWarning]:
    """What is odd about a clip that is used."""
    flags = {
        "audio_silent": (
            decoded.is_silent,
            "silent when its channels are mixed to mono: they cancel each other out, or hold nothing",
        ),
        "audio_truncated": (decoded.is_truncated, "the file breaks off; what could be decoded is used"),
        "audio_damaged": (decoded.is_damaged, "a part within the file could not be decoded; the rest is used"),
    }
    for code, (holds, detail) in flags.items():
        if holds:
            yield ClipWarning(code, clip.shown_name, clip.label or "", detail)


def repetitions(clips: Sequence[UploadedClip]) -> Iterator[tuple[int, ClipWarning]]:
    """The number and the warning of each clip whose bytes came before, under its own label or another."""
    first_of: dict[tuple[str, str | None], UploadedClip] = {}
    first: dict[str, UploadedClip] = {}
    for clip in clips:
        same = first_of.setdefault((clip.sha256, clip.label), clip)
        other = first.setdefault(clip.sha256, clip)
        if same is not clip:
            yield clip.number, _repetition("clip_repeated", clip, f"the same bytes as {same.shown_name}")
        elif other is not clip:
            detail = f"the same bytes as {other.shown_name}, which has the label {other.label!r}"
            yield clip.number, _repetition("clip_in_two_labels", clip, detail)


def taught_before(clips: Iterable[UploadedClip], base: Base) -> Iterator[ClipWarning]:
    """A warning of each clip that the version which a job goes on from is taught with, under its label or another."""
    labels: dict[str, set[str | None]] = {}
    for row in base.clips:
        labels.setdefault(row.id, set()).add(row.label)
    for clip in clips:
        before = labels.get(clip.sha256, set())
        label = None if clip.is_background else clip.label
        if label in before:
            yield _repetition(
                "clip_repeated", clip, f"{base.name}@{base.version} is taught with the same bytes already"
            )
        elif before:
            other = min(map(str, before - {None}), default="background")
            detail = f"{base.name}@{base.version} is taught with the same bytes under the label {other!r}"
            yield _repetition("clip_in_two_labels", clip, detail)


def _repetition(code: str, clip: UploadedClip, detail: str) -> ClipWarning:
    return ClipWarning(code, clip.shown_name, clip.label or "", detail)
