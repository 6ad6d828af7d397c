"""The names of an archive's members: UTF-8 where their bytes are, whatever the archive says; never a guess.

A zip whose flag does not say UTF-8 has its names in the sender's code page, which it does not name, or in UTF-8 after
all, as macOS writes them. zipfile reads them as code page 437.
"""

import struct
import tarfile
import zipfile
import zlib

from jobs.errors import ArchiveInvalid

ZIP_UTF8_FLAG = 0x800
# Info-ZIP Unicode Path (APPNOTE.TXT 4.6.9): version 1, the CRC-32 of the name that it stands for, the name in UTF-8.
UNICODE_PATH = 0x7075
EXTRA_HEADER = struct.Struct("<HH")
UNICODE_PATH_HEADER = struct.Struct("<BL")


def zip_name(info: zipfile.ZipInfo) -> str:
    """The member's path; raises ArchiveInvalid where a folder's name in it cannot be told."""
    if info.flag_bits & ZIP_UTF8_FLAG:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437")
    return _unicode_path(info.extra, raw) or _decoded(raw)


def tar_name(info: tarfile.TarInfo) -> str:
    """The member's path, of which tarfile keeps what is not UTF-8; raises ArchiveInvalid as `zip_name`."""
    return _decoded(info.name.encode("utf-8", "surrogateescape"))


def _decoded(raw: bytes) -> str:
    """The name in UTF-8; one of a file alone, which is only shown, may have marks in place of what cannot be told."""
    file_at = max(raw.rfind(b"/"), raw.rfind(b"\\")) + 1
    try:
        return raw[:file_at].decode() + raw[file_at:].decode(errors="replace")
    except UnicodeDecodeError as error:
        name = raw.decode("ascii", "backslashreplace")
        raise ArchiveInvalid(
            f"the name of the folder in '{name}' is not in UTF-8, and the archive does not say in what: rename the "
            "folder in plain letters, or pack it with a program that writes UTF-8 (7-Zip, Info-ZIP, Python, macOS)"
        ) from error


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The UTF-8 name in a zip member's extra fields, if there is one and it stands for the name `raw`."""
    while len(extra) >= EXTRA_HEADER.size:
        kind, length = EXTRA_HEADER.unpack_from(extra)
        content, extra = extra[EXTRA_HEADER.size :][:length], extra[EXTRA_HEADER.size + length :]
        if kind == UNICODE_PATH and len(content) > UNICODE_PATH_HEADER.size:
            version, crc = UNICODE_PATH_HEADER.unpack_from(content)
            if version == 1 and crc == zlib.crc32(raw):
                return content[UNICODE_PATH_HEADER.size :].decode()
    return None
