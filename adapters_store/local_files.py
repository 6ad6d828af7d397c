"""A store's files in a local directory, which any number of processes on machines that mount it may share."""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from adapters_store.errors import StoreFull, StoreUnavailable
from adapters_store.files import Entry

INCOMING = ".incoming"
STALE_AFTER_S = 3600
"""A file that is this long in `.incoming` was left by a writer that died."""
LOCK_FILE = ".lock"
LOCK_TIMEOUT_S = 10.0
"""A writer holds a lock for milliseconds; one that is stopped in the middle must not stop all others for ever."""
LOCK_POLL_S = 0.01

FULL = {errno.ENOSPC, errno.EDQUOT}


class LocalFiles:
    """`Files` with the operating system's own guarantees: exclusive creation, rename, fsync of file and directory."""

    def __init__(self, root: Path):
        self._root = root.absolute()
        with self._faults():
            self._root.mkdir(parents=True, exist_ok=True)

    def read(self, path: str) -> bytes | None:
        with self._faults():
            try:
                return (self._root / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return None

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        return {path: data for path in paths if (data := self.read(path)) is not None}

    def write(self, path: str, data: bytes) -> None:
        self.write_many({path: data})

    def write_many(self, files: Mapping[str, bytes]) -> None:
        with self._faults():
            targets = {self._root / path: data for path, data in files.items()}
            directories = {target.parent for target in targets}
            for directory in directories:
                self._make_directory(directory)
            for target, data in targets.items():
                incoming = self._write_incoming(data)
                try:
                    os.replace(incoming, target)
                except BaseException:
                    incoming.unlink(missing_ok=True)
                    raise
            for directory in directories:
                _sync_directory(directory)

    def claim(self, path: str) -> bool:
        with self._faults():
            target = self._root / path
            self._make_directory(target.parent)
            try:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            except FileExistsError:
                return False
            _sync_directory(target.parent)
            return True

    def remove(self, path: str) -> None:
        self.remove_many([path])

    def remove_many(self, paths: Collection[str]) -> None:
        with self._faults():
            changed = set()
            for target in (self._root / path for path in paths):
                with suppress(FileNotFoundError, NotADirectoryError):
                    target.unlink()
                    changed.add(target.parent)
            for directory in changed:
                _sync_directory(directory)

    def prune(self, path: str) -> None:
        with self._faults(), suppress(FileNotFoundError):
            shutil.rmtree(self._root / path)
            _sync_directory(self._root)

    def children(self, path: str) -> list[str]:
        with self._faults():
            try:
                return os.listdir(self._root / path)
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return []

    def children_many(self, paths: Iterable[str]) -> dict[str, list[str]]:
        return {path: self.children(path) for path in paths}

    def tree(self, path: str) -> dict[str, Entry]:
        with self._faults():
            self._require_root()
            now, found, pending = time.time(), {}, [""]
            while pending:
                prefix = pending.pop()
                try:
                    entries = list(os.scandir(self._root / path / prefix))
                except (FileNotFoundError, NotADirectoryError):
                    continue
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{prefix}{entry.name}/")
                    elif entry.name != LOCK_FILE:
                        with suppress(FileNotFoundError):  # removed since it was listed
                            stat = entry.stat()
                            found[prefix + entry.name] = Entry(stat.st_size, now - stat.st_mtime)
            return found

    @contextmanager
    def lock(self, path: str) -> Iterator[None]:
        with self._faults():
            directory = self._root / path
            self._make_directory(directory)
            # A lock of the kernel's: it ends with its holder, also with one that is killed.
            descriptor = os.open(directory / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            with self._faults():
                self._wait_for(descriptor, path)
            yield
        finally:
            os.close(descriptor)

    def check(self) -> None:
        with self._faults():
            self._require_root()
            self._write_incoming(b"probe").unlink()
            self._remove_stale()

    def _wait_for(self, descriptor: int, path: str) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"Another writer holds {self._root / path} for more than {LOCK_TIMEOUT_S:g} s; try again later."
                    ) from None
            time.sleep(LOCK_POLL_S)

    def _write_incoming(self, data: bytes) -> Path:
        directory = self._root / INCOMING
        self._make_directory(directory)
        path = directory / f"{os.getpid()}-{uuid.uuid4().hex}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        try:
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _make_directory(self, directory: Path) -> None:
        missing = []
        while not directory.is_dir():
            # Never above the root: a volume that is not mounted must not be made up.
            if directory == self._root:
                self._require_root()
            missing.append(directory)
            directory = directory.parent
        for directory in reversed(missing):
            directory.mkdir(exist_ok=True)
            _sync_directory(directory.parent)

    def _remove_stale(self) -> None:
        oldest = time.time() - STALE_AFTER_S
        for entry in os.scandir(self._root / INCOMING):
            try:
                if entry.stat().st_mtime < oldest:
                    os.unlink(entry.path)
            except FileNotFoundError:
                continue

    def _require_root(self) -> None:
        if not self._root.is_dir():
            raise StoreUnavailable(f"The adapter store {self._root} is not there; is its volume mounted?")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise StoreFull(f"The adapter store {self._root} has no space left.") from error
            raise StoreUnavailable(f"The adapter store {self._root} failed: {error.strerror or error}.") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
