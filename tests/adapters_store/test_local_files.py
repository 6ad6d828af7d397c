import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from adapters_store import StoreFull, StoreUnavailable, open_store
from adapters_store.local_files import INCOMING, STALE_AFTER_S

NUM_PROCESSES, NUM_PUBLISHES = 8, 10
PUBLISHER = """
import sys
from adapters_store import open_store
store = open_store(sys.argv[1])
sys.stdin.read(1)
for number in range(int(sys.argv[2])):
    ref = store.publish("acme", "birds", f"{sys.argv[3]} {number}".encode(), {"writer": sys.argv[3]})
    print(ref.version, ref.digest, flush=True)
"""
KILLED = """
import os, signal, sys
from adapters_store import open_store
store = open_store(sys.argv[1])
write = store._files.write
def killed_write(path, data):
    if path.endswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, data)
store._files.write = killed_write
store.publish("acme", "birds", b"half", {})
"""


def start(script: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())


def test_concurrent_processes_never_share_a_version(tmp_path):
    writers = [start(PUBLISHER, tmp_path, NUM_PUBLISHES, number) for number in range(NUM_PROCESSES)]
    for writer in writers:
        writer.stdin.write("g")
        writer.stdin.flush()
    published = [line.split() for writer in writers for line in writer.communicate(timeout=60)[0].splitlines()]
    expected = list(range(1, NUM_PROCESSES * NUM_PUBLISHES + 1))
    assert sorted(int(version) for version, _ in published) == expected
    store = open_store(tmp_path)
    assert store.versions("acme", "birds") == expected
    assert store.current("acme", "birds") == expected[-1]
    for version, digest in published:
        ref = store.resolve("acme", f"birds@{version}")
        assert ref.digest == digest
        store.read(ref)
    assert os.listdir(tmp_path / INCOMING) == []


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_killed_writer_leaves_nothing_half_made_and_no_lock(tmp_path, suffix):
    store = open_store(tmp_path)
    store.publish("acme", "birds", b"whole", {})
    killed = start(KILLED, tmp_path, suffix)
    killed.communicate(timeout=60)
    assert killed.returncode < 0
    assert store.versions("acme", "birds") == [1]
    assert store.current("acme", "birds") == 1
    assert store.publish("acme", "birds", b"next", {}).version == 3


def test_writers_of_one_adapter_wait_for_each_other(tmp_path):
    store, published = open_store(tmp_path), threading.Event()

    def publish() -> None:
        open_store(tmp_path).publish("acme", "birds", b"whole", {})
        published.set()

    with store._files.lock("acme/birds"):
        waiting = threading.Thread(target=publish)
        waiting.start()
        assert not published.wait(0.2)
        store.publish("acme", "another", b"whole", {})
    waiting.join(timeout=10)
    assert published.is_set()


def test_a_writer_killed_before_the_pointer_moved_leaves_the_old_one_current(tmp_path):
    store = open_store(tmp_path)
    store.publish("acme", "birds", b"whole", {})
    start(KILLED, tmp_path, "current").communicate(timeout=60)
    assert store.current("acme", "birds") == 1
    assert store.read(store.resolve("acme", "birds@2")) == b"half"


@pytest.fixture
def disk_calls(monkeypatch):
    """What is synced and what is moved into its place, in order, each by its inode."""
    calls, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(descriptor):
        calls.append(("sync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noted_replace(source, target):
        calls.append(("move", os.stat(source).st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    return calls


def test_what_is_written_outlives_a_crash_of_the_machine(tmp_path, disk_calls):
    files = open_store(tmp_path)._files
    files.write("acme/birds/current", b"1")
    disk_calls.clear()
    files.write("acme/birds/current", b"2")
    directory = tmp_path / "acme" / "birds"
    file = (directory / "current").stat().st_ino
    # The bytes before the name that shows them, and the name before the call returns.
    assert disk_calls == [("sync", file), ("move", file), ("sync", directory.stat().st_ino)]


@pytest.mark.parametrize("change", ["claim", "remove"])
def test_a_claim_and_a_removal_outlive_a_crash_of_the_machine(tmp_path, disk_calls, change):
    files = open_store(tmp_path)._files
    files.write("acme/birds/another", b"1")
    disk_calls.clear()
    getattr(files, change)({"claim": "acme/birds/000001.claim", "remove": "acme/birds/another"}[change])
    assert disk_calls == [("sync", (tmp_path / "acme" / "birds").stat().st_ino)]


def test_directories_that_are_made_outlive_a_crash_of_the_machine(tmp_path, disk_calls):
    open_store(tmp_path)._files.claim("acme/birds/000001.claim")
    made = [tmp_path, tmp_path / "acme", tmp_path / "acme" / "birds"]
    assert disk_calls == [("sync", directory.stat().st_ino) for directory in made]


@pytest.fixture
def small_volume(tmp_path):
    """A file system of 64 KiB of its own."""
    volume = tmp_path / "volume"
    volume.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", volume], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield volume
    subprocess.run(["umount", volume], check=True)


def test_full_volume(small_volume):
    store = open_store(small_volume)
    first = store.publish("acme", "birds", b"small", {})
    with pytest.raises(StoreFull) as caught:
        store.publish("acme", "birds", bytes(100_000), {})
    assert caught.value.code == "store_full"
    assert store.versions("acme", "birds") == [1]
    assert store.read(store.resolve("acme", "birds")) == b"small"
    assert os.listdir(small_volume / INCOMING) == []
    store.delete("acme", "birds", first.version)
    assert store.publish("acme", "birds", b"again", {}).version == 3


def test_read_only_volume(small_volume):
    store = open_store(small_volume)
    store.publish("acme", "birds", b"small", {})
    subprocess.run(["mount", "-o", "remount,ro", small_volume], check=True)
    for call in (
        lambda: store.publish("acme", "birds", b"more", {}),
        lambda: store.delete("acme", "birds"),
        lambda: store.set_current("acme", "birds", 1),
        store.check,
    ):
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert caught.value.code == "store_unavailable"
    assert store.read(store.resolve("acme", "birds")) == b"small"


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreUnavailable),
        (errno.EIO, StoreUnavailable),
    ],
)
def test_what_the_system_says_of_a_write_is_told_apart(tmp_path, monkeypatch, number, error):
    store = open_store(tmp_path)
    first = store.publish("acme", "birds", b"whole", {})

    def failing_write(descriptor, data):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", failing_write)
    with pytest.raises(error):
        store.publish("acme", "birds", b"more", {})
    monkeypatch.undo()
    assert store.resolve("acme", "birds") == first
    assert store.versions("acme", "birds") == [1]
    assert os.listdir(tmp_path / INCOMING) == []


def test_short_writes_are_completed(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    store = open_store(tmp_path)
    ref = store.publish("acme", "birds", bytes(100), {})
    assert store.read(ref) == bytes(100)


def test_a_store_that_one_may_not_enter(tmp_path):
    store = open_store(tmp_path / "store")
    store.publish("acme", "birds", b"whole", {})
    (tmp_path / "store").chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        for call in (lambda: store.resolve("acme", "birds"), lambda: store.names("acme"), store.check):
            with pytest.raises(StoreUnavailable):
                call()
    finally:
        if is_root:
            os.seteuid(0)
        (tmp_path / "store").chmod(0o755)


def test_a_store_whose_directory_went_away_is_not_an_empty_one(tmp_path):
    store = open_store(tmp_path / "store")
    (tmp_path / "store").rmdir()
    for call in (
        lambda: store.resolve("acme", "birds"),
        lambda: store.names("acme"),
        lambda: store.publish("acme", "birds", b"", {}),
        store.check,
    ):
        with pytest.raises(StoreUnavailable, match="mounted"):
            call()
    assert not (tmp_path / "store").exists()


def test_a_path_that_is_a_file_cannot_be_opened(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        open_store(tmp_path / "file")


def test_check_removes_what_dead_writers_left(tmp_path):
    store = open_store(tmp_path)
    store.check()
    stale, fresh = tmp_path / INCOMING / "1-stale", tmp_path / INCOMING / "1-fresh"
    for path in (stale, fresh):
        path.touch()
    long_ago = time.time() - STALE_AFTER_S - 1
    os.utime(stale, (long_ago, long_ago))
    store.check()
    assert os.listdir(tmp_path / INCOMING) == ["1-fresh"]


def test_ten_thousand_adapters_cost_a_lookup_nothing(tmp_path):
    store = open_store(tmp_path)
    store.publish("acme", "birds", b"whole", {})

    def quickest_resolve_s() -> float:
        durations = []
        for _ in range(200):
            start_s = time.perf_counter()
            store.resolve("acme", "birds")
            durations.append(time.perf_counter() - start_s)
        return min(durations)

    alone_s = quickest_resolve_s()
    for number in range(10_000):
        (tmp_path / "acme" / f"other-{number}").mkdir()
    assert quickest_resolve_s() < 3 * alone_s + 0.001
