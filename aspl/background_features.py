"""What a base model hears of a bank of background clips, and the file that keeps it."""

import os
import uuid
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
import safetensors
import safetensors.numpy

# m clips of the bank, D joint width, S numbers of all stages

FORMAT = "earshot background 2"  # the first has no peaks

Wanted = tuple[str, str, int | None, float | None]


@dataclass(frozen=True, eq=False)
class BackgroundFeatures:
    """What a base model hears of a bank.

    Attributes:
        stages: `[m, S]` float32, what every stage gives.
        joint: `[m, D]` float32, of unit norm.
        fingerprint: of the base model; `digest`: of the bank.
        dtype: in which the model ran, such as float32.
        band: the mel bin from which on nothing was heard of it, see `aspl.reach`; None where all was.
        level_db: to which its clips were brought, see `aspl.sound.level`; None for as they are.
    """

    stages: np.ndarray
    joint: np.ndarray
    fingerprint: str
    digest: str
    dtype: str
    band: int | None = None
    level_db: float | None = None

    def save(self, path: Path) -> None:
        """Write a file in one step, so that another process sees all of it or nothing. Numbers are kept in float16."""
        tensors = {name: getattr(self, name).astype(np.float16) for name in ("joint", "stages")}
        metadata = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "digest": self.digest,
            "dtype": self.dtype,
            "sha256": _checksum(tensors),
        }
        if self.band is not None:
            metadata["band"] = str(self.band)
        if self.level_db is not None:
            metadata["level_db"] = str(self.level_db)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(safetensors.numpy.save(tensors, metadata))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path, *, wanted: Wanted | None = None) -> Self | None:
        """Read a file that `save` wrote; None where there is none, or one that is anything else or not whole.

        Args:
            wanted: fingerprint, digest, band and level; of a file of others no more is read than that it is.
        """
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                band = int(metadata["band"]) if "band" in metadata else None
                level_db = float(metadata["level_db"]) if "level_db" in metadata else None
                if wanted is not None and (metadata["fingerprint"], metadata["digest"], band, level_db) != wanted:
                    return None
                tensors = {name: file.get_tensor(name) for name in ("joint", "stages")}
            if metadata["format"] != FORMAT or metadata["sha256"] != _checksum(tensors):
                return None
            joint, stages = (tensors[name].astype(np.float32) for name in ("joint", "stages"))
            return cls(stages, joint, metadata["fingerprint"], metadata["digest"], metadata["dtype"], band, level_db)
        except (OSError, KeyError, ValueError, safetensors.SafetensorError):
            return None


def _checksum(tensors: dict[str, np.ndarray]) -> str:
    digest = sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
