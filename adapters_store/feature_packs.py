"""Packs: what one base model hears of several clips, in one file, so that a version's features are a few reads.

A publication writes one pack of its new clips. Where the packs before it hold no more clips than it, it takes them in,
so a version that came to be clip by clip has at most log2(n) packs, and each clip's features were written as often.
What is in them of a clip is bytes to the store.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from adapters_store.errors import AdapterCorrupt

MAGIC = b"earshot features 1\n"
LENGTH_BYTES = 8


@dataclass(frozen=True)
class Pack:
    """Features by clip, of the base model `fingerprint`."""

    fingerprint: str
    rows: Mapping[str, bytes]

    def without(self, ids: frozenset[str]) -> "Pack":
        """The pack less the rows of these clips."""
        return Pack(self.fingerprint, {clip: data for clip, data in self.rows.items() if clip not in ids})

    def to_bytes(self) -> bytes:
        """MAGIC, the header's length in 8 bytes, the header in JSON, and the rows one after the other."""
        body = b"".join(self.rows.values())
        header = {
            "fingerprint": self.fingerprint,
            "rows": [[clip, len(data)] for clip, data in self.rows.items()],
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        text = json.dumps(header).encode()
        return MAGIC + len(text).to_bytes(LENGTH_BYTES, "big") + text + body

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Self:
        """The pack that `to_bytes` wrote; raises AdapterCorrupt, which calls it `what`."""
        try:
            start = len(MAGIC) + LENGTH_BYTES
            if not data.startswith(MAGIC):
                raise ValueError("it does not begin as one")
            end = start + int.from_bytes(data[len(MAGIC) : start], "big")
            header = json.loads(data[start:end])
            if hashlib.sha256(data[end:]).hexdigest() != header["sha256"]:
                raise ValueError("its digest is another")
            rows, place = {}, end
            for clip, size in header["rows"]:
                rows[clip] = data[place : place + size]
                place += size
            return cls(header["fingerprint"], rows)
        except (ValueError, KeyError, TypeError) as error:
            raise AdapterCorrupt(f"{what} is damaged: {str(error)[:80]}.") from error
