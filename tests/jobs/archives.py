"""Archives in memory, of every kind that is taken."""

import io
import tarfile
import zipfile
from collections.abc import Iterable

Entries = Iterable[tuple[str | zipfile.ZipInfo, bytes]]


def zip_of(entries: Entries, compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    """A zip of names, or headers, and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    file.seek(0)
    return file


def tar_of(entries: Entries, mode: str, tar_format: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    """A tar of names and contents, packed as the mode says."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tar_format) as archive:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    file.seek(0)
    return file


def zip_of_raw_names(entries: Iterable[tuple[bytes, bytes]], *, extra: bytes = b"") -> io.BytesIO:
    """A zip whose names are these bytes, with no flag that says what they are; `extra` are fields of the first."""
    entries = list(entries)
    stand_ins = [chr(ord("A") + number) * len(raw) for number, (raw, _) in enumerate(entries)]
    infos = [zipfile.ZipInfo(name) for name in stand_ins]
    infos[0].extra = extra
    contents = [data for _, data in entries]
    packed = zip_of(zip(infos, contents, strict=True), zipfile.ZIP_STORED).getvalue()
    for name, (raw, _) in zip(stand_ins, entries, strict=True):
        packed = packed.replace(name.encode(), raw)
    return io.BytesIO(packed)


ARCHIVES = {
    "zip": zip_of,
    "stored zip": lambda entries: zip_of(entries, zipfile.ZIP_STORED),
    "tar": lambda entries: tar_of(entries, "w"),
    "tar.gz": lambda entries: tar_of(entries, "w:gz"),
    "tar.bz2": lambda entries: tar_of(entries, "w:bz2"),
    "tar.xz": lambda entries: tar_of(entries, "w:xz"),
}
