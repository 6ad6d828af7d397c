"""A store's files under any fsspec URL: S3 and what speaks its protocol, other object stores, memory.

fsspec with s3fs rather than obstore, whose conditional writes are built in: a store may lie under any URL that fsspec
knows, so obstore would stand beside fsspec and not in its place, with a second set of errors to tell apart; and
credentials come from wherever botocore finds them, profiles and single sign-on included, of which obstore reads only
some. It would make the image some 12 MB lighter: 16 MB for 28, since of botocore only what S3 needs is kept.
"""

import errno
import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeVar

import fsspec
from fsspec.core import url_to_fs

from adapters_store.errors import StoreFull, StoreUnavailable
from adapters_store.files import Entry

OBJECT_STORES = ("s3:", "gs:", "gcs:", "az:", "abfs:", "abfss:", "memory:")
FULL_CODES = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}
TAKEN_CODES = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}

S3_OPTIONS = {"config_kwargs": {"connect_timeout": 3, "read_timeout": 10, "retries": {"max_attempts": 2}}}
"""A store that does not answer must fail a request before its client gives up."""
ASKED_AT_ONCE = 16

Answer = TypeVar("Answer")

_claiming = threading.Lock()
"""For file systems whose exclusive creation is a look and then a write, as memory's."""


class ObjectFiles:
    """`Files` on an object store: a put is atomic, and creation is exclusive by a conditional put.

    fsspec's other file systems get a temporary name and a rename instead of the atomic put; they have nothing in place
    of the conditional one, so two writers of one adapter at the same instant could share a version number there.
    """

    def __init__(self, url: str, options: dict[str, Any] | None = None):
        self._url = url
        self._options = options if options is not None else (S3_OPTIONS if url.startswith("s3:") else {})
        self._is_object_store = url.startswith(OBJECT_STORES)
        self._pid = -1
        self._connect()

    def read(self, path: str) -> bytes | None:
        with self._faults():
            try:
                return self._fs.cat_file(self._full(path))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, data: bytes) -> None:
        with self._faults():
            if self._is_object_store:
                self._fs.pipe_file(self._full(path), data)
                return
            self._make_parent(path)
            incoming = f"{self._full(path)}.{uuid.uuid4().hex}"
            self._fs.pipe_file(incoming, data)
            self._fs.mv(incoming, self._full(path))

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        # Not fsspec's call for several paths, which asks twice for each.
        return {path: data for path, data in self._side_by_side(self.read, paths).items() if data is not None}

    def write_many(self, files: Mapping[str, bytes]) -> None:
        if not self._is_object_store:
            for path, data in files.items():
                self.write(path, data)
        elif files:
            with self._faults():
                self._fs.pipe({self._full(path): data for path, data in files.items()})

    def claim(self, path: str) -> bool:
        with self._faults(), _claiming:
            self._make_parent(path)
            try:
                self._fs.pipe_file(self._full(path), b"", mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if _service_code(error) in TAKEN_CODES:
                    return False
                raise
            return True

    def remove(self, path: str) -> None:
        with self._faults():
            try:
                self._fs.rm_file(self._full(path))
            except FileNotFoundError:
                return

    def remove_many(self, paths: Collection[str]) -> None:
        if not self._url.startswith("s3:"):
            for path in paths:
                self.remove(path)
        elif paths:
            with self._faults():
                self._fs.rm([self._full(path) for path in paths])  # a thousand a request; what is not there is passed

    def prune(self, path: str) -> None:
        """An object store has no directories."""

    def children(self, path: str) -> list[str]:
        with self._faults():
            # Another process may have written since the file system last listed this.
            self._fs.invalidate_cache()
            try:
                paths = self._fs.ls(self._full(path), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def children_many(self, paths: Iterable[str]) -> dict[str, list[str]]:
        return self._side_by_side(self.children, paths)

    def tree(self, path: str) -> dict[str, Entry]:
        with self._faults():
            self._fs.invalidate_cache()
            root = self._full(path).strip("/") + "/"
            try:
                found = self._fs.find(self._full(path), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            now = time.time()
            return {
                full.strip("/").removeprefix(root): Entry(int(info["size"] or 0), now - _written_at(info))
                for full, info in found.items()
            }

    def lock(self, path: str) -> AbstractContextManager[None]:
        # Object stores have no locks: numbers are claimed, files are put whole, and the last writer of a pointer wins.
        return nullcontext()

    def check(self) -> None:
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"probe")
        self.remove(probe)

    @property
    def _fs(self) -> fsspec.AbstractFileSystem:
        # Connections and the event loop of a file system do not survive a fork.
        if self._pid != os.getpid():
            self._connect()
        return self._filesystem

    @staticmethod
    def _side_by_side(ask: Callable[[str], Answer], paths: Iterable[str]) -> dict[str, Answer]:
        paths = list(paths)
        if len(paths) < 2:
            return {path: ask(path) for path in paths}
        with ThreadPoolExecutor(min(len(paths), ASKED_AT_ONCE)) as threads:
            return dict(zip(paths, threads.map(ask, paths), strict=True))

    def _connect(self) -> None:
        with self._faults():
            self._filesystem, root = url_to_fs(self._url, use_listings_cache=False, **self._options)
            self._root = root.rstrip("/")
            self._pid = os.getpid()

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _make_parent(self, path: str) -> None:
        # Object stores have no directories, and makedirs would try to make a bucket.
        if not self._is_object_store:
            self._fs.makedirs(self._full(path).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except _transport_errors(self._url) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _service_code(error) in FULL_CODES:
                raise StoreFull(f"The adapter store {self._url} has no space left.") from error
            raise StoreUnavailable(f"The adapter store {self._url} failed: {type(error).__name__}: {error}.") from error


def _written_at(info: Mapping[str, Any]) -> float:
    """When the file was last written, in seconds since 1970, in whichever way its file system says so."""
    moment = next((info[key] for key in ("LastModified", "last_modified", "mtime", "created") if info.get(key)), None)
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment) if isinstance(moment, int | float) else time.time()


def _transport_errors(url: str) -> tuple[type[Exception], ...]:
    """What the file system raises when the place fails; not `Exception`, which takes in a job's time limit."""
    if not url.startswith("s3:"):
        return (OSError,)
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, BotoCoreError, ClientError)


def _service_code(error: BaseException) -> str | None:
    """The object store's own error code, where the error or its cause carries one."""
    for fault in (error, error.__cause__):
        response = getattr(fault, "response", None)
        if isinstance(response, dict):
            return response.get("Error", {}).get("Code")
    return None
