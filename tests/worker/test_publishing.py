import pytest

from adapters_store.errors import StoreFull, StoreUnavailable
from worker.publishing import find_published, open_writable, publish

LONG_AGO, FUTURE = "2020-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"


class Flaky:
    """A store that fails so many times before it works."""

    def __init__(self, store, errors):
        self.store = store
        self.errors = errors

    def publish(self, *arguments):
        if self.errors:
            raise self.errors.pop()
        return self.store.publish(*arguments)


def test_an_earlier_attempts_version_is_found(store):
    for job in ("a", "b", "c"):
        store.publish("t", "pets", job.encode(), {"job": job})
    assert find_published(store, "t", "pets", job_id="b", since=LONG_AGO).version == 2
    assert store.current("t", "pets") == 3
    assert find_published(store, "t", "pets", job_id="d", since=LONG_AGO) is None
    assert find_published(store, "t", "none", job_id="a", since=LONG_AGO) is None


def test_versions_older_than_the_job_are_not_looked_at(store):
    for job in ("a", "b"):
        store.publish("t", "pets", b"", {"job": job})
    assert find_published(store, "t", "pets", job_id="a", since=FUTURE) is None


def test_a_store_that_comes_back_gets_the_adapter_once(store):
    flaky = Flaky(store, [StoreUnavailable("away"), StoreUnavailable("away")])
    assert publish(flaky, "t", "pets", b"data", {}, timeout_s=5).version == 1
    assert store.versions("t", "pets") == [1]


@pytest.mark.parametrize(("error", "timeout_s"), [(StoreFull("full"), 5), (StoreUnavailable("away"), 0)])
def test_what_does_not_pass_is_raised(store, error, timeout_s):
    with pytest.raises(type(error)):
        publish(Flaky(store, [error]), "t", "pets", b"data", {}, timeout_s=timeout_s)


def test_a_store_that_cannot_be_written_is_noticed_early(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        open_writable(str(tmp_path / "file"), timeout_s=0)
