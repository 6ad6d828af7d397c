"""An exported adapter, as it is sent again."""

from __future__ import annotations

import io
import zipfile

from earshot_client.clips import ClipLike, clips_of


def adapter_bytes(given: ClipLike) -> bytes:
    """The bytes of an adapter's file; of a zip with its clips, those of the one within.

    Raises:
        ValueError: a zip holds none, or several.
    """
    (file,) = clips_of(given)
    data = b"".join(file.chunks())
    if not data.startswith(b"PK\x03\x04"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if "/" not in name and name.endswith(".safetensors")]
        if len(names) != 1:
            raise ValueError(f"{file.name} holds {len(names)} adapters: give a zip that was exported, or the adapter.")
        return archive.read(names[0])
