import errno
import multiprocessing
import os
import time

import fsspec
import pytest

from adapters_store import StoreFull, StoreUnavailable, open_store


def publish_many(url: str, writer: int, queue) -> None:
    store = open_store(url)
    queue.put([store.publish("acme", "birds", b"%d" % writer, {}).version for _ in range(5)])


def test_concurrent_processes_never_share_a_version_on_s3(s3_url):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writers = [context.Process(target=publish_many, args=(s3_url, number, queue)) for number in range(3)]
    for writer in writers:
        writer.start()
    published = sorted(version for _ in writers for version in queue.get(timeout=60))
    for writer in writers:
        writer.join(timeout=30)
    assert published == list(range(1, 16))
    assert open_store(s3_url).versions("acme", "birds") == published


def test_a_slow_writer_does_not_move_the_pointer_back(monkeypatch):
    slow, fast = open_store("memory://slow"), open_store("memory://slow")
    write = slow._files.write

    def overtaken_write(path, data):
        if path.endswith(".json"):
            assert fast.publish("acme", "birds", b"second", {}).version == 2
        write(path, data)

    monkeypatch.setattr(slow._files, "write", overtaken_write)
    assert slow.publish("acme", "birds", b"first", {}).version == 1
    assert fast.current("acme", "birds") == 2


def test_a_claim_on_s3_is_a_conditional_put(s3_url):
    one, other = open_store(s3_url)._files, open_store(s3_url)._files
    assert one.claim("acme/birds/versions/000001.claim")
    assert not other.claim("acme/birds/versions/000001.claim")


def test_an_unreachable_s3_is_unavailable_and_says_so_soon(s3_url, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fsspec.filesystem("s3").clear_instance_cache()
    store = open_store(s3_url)
    start_s = time.monotonic()
    for call in (lambda: store.resolve("acme", "birds"), store.check):
        with pytest.raises(StoreUnavailable):
            call()
    assert time.monotonic() - start_s < 20
    fsspec.filesystem("s3").clear_instance_cache()


def test_a_bucket_that_is_not_there_is_unavailable(s3_url):
    open_store(s3_url).check()
    with pytest.raises(StoreUnavailable):
        open_store("s3://no-such-bucket-of-ours/prefix").check()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "no space"), StoreFull),
        (OSError(errno.EDQUOT, "quota"), StoreFull),
        (PermissionError("denied"), StoreUnavailable),
        (TimeoutError("slow"), StoreUnavailable),
    ],
)
def test_faults_of_the_place_are_told_apart(error, expected, monkeypatch):
    store = open_store("memory://faults")

    def failing_pipe(*_, **__):
        raise error

    monkeypatch.setattr(store._files._filesystem, "pipe_file", failing_pipe)
    with pytest.raises(expected):
        store.publish("acme", "birds", b"", {})


def test_a_full_minio_is_full(s3_url, monkeypatch):
    from botocore.exceptions import ClientError

    store = open_store(s3_url)

    def full_pipe(*_, **__):
        cause = ClientError({"Error": {"Code": "XMinioStorageFull", "Message": "full"}}, "PutObject")
        raise OSError(errno.EIO, "full") from cause

    monkeypatch.setattr(store._files._filesystem, "pipe_file", full_pipe)
    with pytest.raises(StoreFull):
        store.publish("acme", "birds", b"", {})


def test_a_time_limit_that_strikes_inside_passes_through(monkeypatch):
    class TimeLimit(Exception):
        pass

    store = open_store("memory://limit")

    def struck(*_, **__):
        raise TimeLimit

    monkeypatch.setattr(store._files._filesystem, "cat_file", struck)
    with pytest.raises(TimeLimit):
        store.resolve("acme", "birds")


@pytest.mark.parametrize("url", ["nosuchprotocol://somewhere"])
def test_a_url_that_nothing_can_open(url):
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_store(url)


def test_a_store_opened_before_a_fork_works_after_it(s3_url):
    store = open_store(s3_url)
    ref = store.publish("acme", "birds", b"whole", {})
    pid = os.fork()
    if pid == 0:
        os._exit(0 if store.read(store.resolve("acme", "birds")) == b"whole" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.read(ref) == b"whole"
