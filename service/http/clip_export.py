"""An adapter with the clips that it was taught with, as one zip that is made while it is sent."""

import hashlib
import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict

from starlette.responses import StreamingResponse

from adapters_store import AdapterStore, ClipList, ClipNotFound, Ref, TaughtClip
from aspl.adapter_info import read_channel, read_info
from jobs.background import BACKGROUND, FOLDERS

MEDIA_TYPE = "application/zip"
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f<>:\"/\\|?*]+")  # in a file's name, on one system or another
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell: the same version makes the same zip


class _Pipe:
    """A file that a zip is written to and whose bytes are taken out as they come."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data, self._chunks = b"".join(self._chunks), []
        return data


def export_with_clips(store: AdapterStore, ref: Ref) -> StreamingResponse:
    """The answer with the zip: ADAPTER.safetensors, clips.json, and LABEL/NAME of each clip whose audio is there."""
    data, listed = store.read(ref), store.clips(ref)
    headers = {"Content-Disposition": f'attachment; filename="{ref.name}-{ref.version}.zip"'}
    return StreamingResponse(_zipped(store, ref, data, listed), media_type=MEDIA_TYPE, headers=headers)


def _zipped(store: AdapterStore, ref: Ref, data: bytes, listed: ClipList | None) -> Iterator[bytes]:
    pipe, kept = _Pipe(), store.kept(ref)
    there, clips = kept.presence().audio, listed.clips if listed else ()
    folders = _folders({clip.label for clip in clips if clip.label is not None})
    rows = [{**asdict(clip), "path": _path(clip, folders) if clip.id in there else None} for clip in clips]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{ref.name}-{ref.version}.safetensors", DATE), data)
        told = {"adapter": str(ref), "digest": ref.digest, "channel": read_channel(data), "clips": rows}
        told |= {"channels": dict(listed.channels) if listed else {}, "level_db": read_info(data).level_db}
        text = json.dumps(told, ensure_ascii=False, indent=1)
        archive.writestr(zipfile.ZipInfo("clips.json", DATE), text)
        yield pipe.take()
        for path, clip in {row["path"]: row["id"] for row in rows if row["path"]}.items():
            try:
                archive.writestr(zipfile.ZipInfo(path, DATE), kept.audio(clip))
            except ClipNotFound:  # erased meanwhile
                continue
            yield pipe.take()
    yield pipe.take()


def _folders(labels: Collection[str]) -> dict[str, str]:
    """The folder of each label, one of its own: the label itself as far as a folder can be called that."""
    folders: dict[str, str] = {}
    taken = set(FOLDERS)
    for label in sorted(labels):
        folder = _safe(label) or "label"
        if folder.casefold() in taken:
            folder = f"{folder}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
        folders[label] = folder
        taken.add(folder.casefold())
    return folders


def _path(clip: TaughtClip, folders: Mapping[str, str]) -> str:
    """Where a clip lies in the zip."""
    folder = BACKGROUND if clip.label is None else folders[clip.label]
    return f"{folder}/{clip.id[:12]}-{_safe(clip.file.rpartition('/')[2]) or 'clip'}"


def _safe(text: str) -> str:
    return UNSAFE.sub("_", text).strip(". ")[:100]
