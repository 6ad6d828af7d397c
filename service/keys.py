"""API keys: who may call, and as which tenant. A file of hashes; a key itself is shown once and kept nowhere."""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

LOCAL_TENANT = "local"
KEY_PREFIX = "esk_"
ID_LENGTH = 8


class KeysUnreadable(Exception):
    """The file of keys is damaged or not ours to read; nobody is let in until it is mended."""

    code = "keys_unreadable"


@dataclass(frozen=True)
class KeyRecord:
    """What is kept of a key: its public beginning, its hash and its tenant."""

    id: str
    sha256: str
    tenant: str
    created_at: str


class KeyFile:
    """The keys in one JSON file. A running service notices changes by itself.

    Every method raises `KeysUnreadable` where the file is there and cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._tenants: dict[str, str] = {}

    def add(self, tenant: str) -> str:
        """Make a key for a tenant and return it, for the only time."""
        key_id = secrets.token_hex(ID_LENGTH // 2)
        # 256 random bits need no slow hash: there is nothing to guess.
        key = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        with self._locked() as records:
            records.append(KeyRecord(key_id, _sha256(key), tenant, datetime.now(UTC).isoformat(timespec="seconds")))
        return key

    def revoke(self, tenant: str, key_id: str | None = None) -> int:
        """Remove a tenant's keys, or the one of that id, and return how many went."""
        if not self.path.exists():
            return 0  # a file without keys would have the service ask for one
        with self._locked() as records:
            kept = [r for r in records if r.tenant != tenant or (key_id is not None and r.id != key_id)]
            num_revoked = len(records) - len(kept)
            records[:] = kept
        return num_revoked

    def records(self, tenant: str | None = None) -> list[KeyRecord]:
        """The keys of one tenant or of all, without the keys themselves."""
        try:
            records = [KeyRecord(**row) for row in json.loads(self.path.read_text())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise KeysUnreadable(f"{self.path} is no file of keys that can be read: {error}") from error
        return [record for record in records if tenant in (None, record.tenant)]

    def exists(self) -> bool:
        """Whether any key was ever made; revoked ones leave the file behind."""
        return self.path.exists()

    def has_keys(self) -> bool:
        """Whether any key was made."""
        self._refresh()
        return bool(self._tenants)

    def tenant_of(self, key: str) -> str | None:
        """The tenant that a key names, or None."""
        self._refresh()
        return self._tenants.get(_sha256(key))

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._tenants = None, {}
            return
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._tenants = {record.sha256: record.tenant for record in self.records()}
            self._stamp = stamp

    @contextmanager
    def _locked(self) -> Iterator[list[KeyRecord]]:
        """The records, to be changed in place; written back atomically under a lock."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = self.records()
            yield records
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent)  # mode 0600
            with os.fdopen(descriptor, "w") as file:
                json.dump([asdict(record) for record in records], file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
