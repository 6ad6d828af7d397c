import hashlib
from dataclasses import replace

import pytest

from adapters_store import Taught, TaughtClip
from adapters_store.errors import StoreFull, StoreUnavailable
from jobs.errors import QuotaExceeded
from jobs.limits import StorageLimits
from jobs.quota import Quota
from worker.publication import Version, find_published, open_writable, promoted, publish

LONG_AGO, FUTURE = "2020-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"


MANIFEST = {"job": "a"}


@pytest.fixture
def fails(store, monkeypatch):
    """Lets the store's next writes of files with this ending fail, as one that does not answer."""
    write, errors = store._files.write, []

    def fails(ending, *next_errors, is_applied=False):
        errors.extend(next_errors)

        def failing_write(path, data):
            if not (path.endswith(ending) and errors):
                return write(path, data)
            if is_applied:
                write(path, data)
            raise errors.pop()

        monkeypatch.setattr(store._files, "write", failing_write)

    return fails


def test_an_earlier_attempts_version_is_found(store):
    for job in ("a", "b", "c"):
        store.publish("t", "pets", job.encode(), {"job": job})
    assert find_published(store, "t", "pets", job_id="b", since=LONG_AGO).version == 2
    assert store.current("t", "pets") == 3
    assert find_published(store, "t", "pets", job_id="d", since=LONG_AGO) is None
    assert find_published(store, "t", "none", job_id="a", since=LONG_AGO) is None


def test_an_earlier_attempts_version_that_stands_by_goes_on_to(store):
    store.publish("t", "pets", b"a", {"job": "a"})
    stands_by = {"job": "b", "promoted": {"current": False, "reason": "it was asked to"}}
    store.publish("t", "pets", b"b", stands_by, takes_over=False)
    assert find_published(store, "t", "pets", job_id="b", since=LONG_AGO).version == 2
    assert store.current("t", "pets") == 1


@pytest.mark.parametrize(
    ("labels", "wish", "current"),
    [(["cat", "dog", "owl"], "auto", 2), (["cat"], "auto", 1), (["cat"], "always", 2), (["cat", "dog"], "never", 1)],
)
def test_a_version_takes_over_as_wished_and_says_why(store, labels, wish, current):
    first = Version("t", "pets", b"a", {"job": "a", "labels": ["cat", "dog"]}, "never")
    publish(store, first, timeout_s=1)
    assert store.current("t", "pets") == 1
    ref = publish(store, Version("t", "pets", b"b", {"job": "b", "labels": labels}, wish), timeout_s=1)
    assert store.current("t", "pets") == current
    kept = promoted(store, ref)
    assert kept["current"] is (current == 2) and kept["reason"]


def test_versions_older_than_the_job_are_not_looked_at(store):
    for job in ("a", "b"):
        store.publish("t", "pets", b"", {"job": job})
    assert find_published(store, "t", "pets", job_id="a", since=FUTURE) is None


@pytest.mark.parametrize("damage", ["current", "versions/000003.json"])
def test_an_earlier_attempts_version_is_found_beside_what_is_damaged(store, damage):
    for job in ("a", "b", "c"):
        store.publish("t", "pets", job.encode(), {"job": job})
    store._files.write(f"t/pets/{damage}", b"{")
    assert find_published(store, "t", "pets", job_id="b", since=LONG_AGO).version == 2
    assert store.current("t", "pets") == (2 if damage == "current" else 3)


@pytest.mark.parametrize("is_applied", [False, True])
@pytest.mark.parametrize("ending", [".safetensors", ".json", "current"])
def test_a_store_that_comes_back_gets_the_adapter_once(store, fails, ending, is_applied):
    fails(ending, StoreUnavailable("away"), StoreUnavailable("away"), is_applied=is_applied)
    ref = publish(store, Version("t", "pets", b"data", MANIFEST), timeout_s=5)
    assert store.versions("t", "pets") == [ref.version] == [store.current("t", "pets")]
    assert store.read(ref) == b"data"


@pytest.mark.parametrize(("error", "timeout_s"), [(StoreFull("full"), 5), (StoreUnavailable("away"), 0)])
def test_what_does_not_pass_is_raised(store, fails, error, timeout_s):
    fails(".json", error)
    with pytest.raises(type(error)):
        publish(store, Version("t", "pets", b"data", MANIFEST), timeout_s=timeout_s)


def test_a_store_that_cannot_be_written_is_noticed_early(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        open_writable(str(tmp_path / "file"), timeout_s=0)


def test_what_is_more_than_the_tenant_may_keep_is_not_published(store):
    quota = Quota(StorageLimits(max_versions=2, max_stored_bytes=10_000))
    for job in "ab":
        publish(store, Version("t", "pets", b"data", {"job": job}), timeout_s=0, quota=quota)
    with pytest.raises(QuotaExceeded) as refused:
        publish(store, Version("t", "pets", b"data", {"job": "c"}), timeout_s=0, quota=quota)
    assert refused.value.limit == ("max_versions", 2)
    with pytest.raises(QuotaExceeded, match="max_stored_bytes"):
        publish(store, Version("t", "cars", b"x" * 10_000, {"job": "d"}), timeout_s=0, quota=quota)
    store.delete("t", "pets", 1)
    publish(store, Version("t", "pets", b"data", {"job": "e"}), timeout_s=0, quota=quota)


def test_the_bytes_of_a_version_are_its_file_what_is_new_of_its_features_and_the_audio_that_came():
    clips = (TaughtClip("a" * 64, "x", size_bytes=100), TaughtClip("b" * 64, "x", size_bytes=1000))
    taught = Taught("audio", clips, audio={"b" * 64: lambda: b""}, features={"b" * 64: b"12345"})
    version = Version("t", "pets", b"data", {}, taught=taught)
    assert version.new_bytes == 4 + 5 and version.audio == {"b" * 64: 1000}
    version = replace(version, taught=replace(taught, keep="features"))
    assert version.new_bytes == 4 + 5 and version.audio == {}
    version = replace(version, taught=replace(taught, keep="nothing"))
    assert version.new_bytes == 4 and version.audio == {}


def test_clips_that_come_again_count_once(store):
    quota, sounds = Quota(StorageLimits(max_stored_bytes=10_000)), {bytes([n]) * 2000 for n in range(3)}
    ids = {hashlib.sha256(sound).hexdigest(): sound for sound in sounds}
    clips = tuple(TaughtClip(clip, "x", size_bytes=2000, has_audio=True) for clip in ids)
    taught = Taught("audio", clips, audio={clip: (lambda sound=sound: sound) for clip, sound in ids.items()})
    for job in "abc":
        publish(store, Version("t", "pets", b"data", {"job": job}, taught=taught), timeout_s=0, quota=quota)
    assert 6000 < store.usage("t").stored_bytes < 10_000
    with pytest.raises(QuotaExceeded, match="max_stored_bytes"):
        publish(store, Version("t", "cars", b"data", {"job": "d"}, taught=taught), timeout_s=0, quota=quota)
