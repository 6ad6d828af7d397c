"""Arrays kept on disk under names, within a bound: what was used longest ago goes first."""

import os
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.numpy
from numpy import ndarray

SUFFIX = ".safetensors"


class DiskCache:
    """A folder of files of arrays, whose sizes stay within `limit_bytes` in sum; a damaged file counts as none."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes
        folder.mkdir(parents=True, exist_ok=True)
        found = [(path, path.stat()) for path in folder.glob(f"*{SUFFIX}")]
        found.sort(key=lambda entry: entry[1].st_mtime)
        self._sizes = OrderedDict((path.name, status.st_size) for path, status in found)
        self.size_bytes = sum(self._sizes.values())
        self._shrink()

    def __contains__(self, name: str) -> bool:
        return name + SUFFIX in self._sizes

    def get(self, name: str) -> dict[str, ndarray] | None:
        """Return what was kept under a name."""
        if name not in self:
            return None
        path = self.folder / (name + SUFFIX)
        try:
            arrays = safetensors.numpy.load_file(path)
            os.utime(path)
        except (OSError, safetensors.SafetensorError):
            self._drop(path.name)
            return None
        self._sizes.move_to_end(path.name)
        return arrays

    def put(self, name: str, arrays: Mapping[str, ndarray]) -> None:
        """Keep arrays under a name; what is larger than the bound is not kept."""
        data = safetensors.numpy.save(dict(arrays))
        if len(data) > self.limit_bytes:
            return
        path = self.folder / (name + SUFFIX)
        if path.name in self._sizes:
            self._drop(path.name)
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        temporary.write_bytes(data)
        os.replace(temporary, path)
        self._sizes[path.name] = len(data)
        self.size_bytes += len(data)
        self._shrink()

    def _shrink(self) -> None:
        while self.size_bytes > self.limit_bytes:
            self._drop(next(iter(self._sizes)))

    def _drop(self, file_name: str) -> None:
        self.size_bytes -= self._sizes.pop(file_name)
        (self.folder / file_name).unlink(missing_ok=True)
