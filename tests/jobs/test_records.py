import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import ResponseError

from jobs.connection import connect
from jobs.errors import JobNotFound, RedisUnavailable
from jobs.records import JobRecord, JobRecords, translated, utc_now

ID = "a" * 32


@pytest.fixture
def records(redis):
    return JobRecords(redis, ttl_s=100)


def create(records, **values):
    record = JobRecord(
        **{"id": ID, "tenant": "t", "name": "dogs", "upload_id": "u", "training": {}, "created_at": utc_now()} | values
    )
    with translated(), records.redis.pipeline() as pipeline:
        records.create(record, pipeline)
        pipeline.execute()
    return record


def test_what_is_written_is_read(records):
    record = create(records, training={"template": "Ein Geräusch: {}"})
    assert records.get("t", ID) == record


def test_the_public_record_has_the_documented_fields(records):
    public = create(records).public()
    times = ["created_at", "started_at", "ended_at"]
    findings = ["left_out", "num_left_out", "warnings", "num_warnings"]
    assert list(public) == [
        "id",
        "kind",
        "state",
        "progress",
        "adapter",
        "promoted",
        "error",
        *times,
        *findings,
        "report",
    ]
    waiting = {"phase": "queued", "epoch": 0, "epochs": 0, "loss": None, "accuracy": None, "eta_s": None}
    assert public["progress"] == waiting and list(public["progress"]) == list(waiting)
    json.dumps(public)


def test_another_tenants_job_is_not_found(records):
    create(records)
    with pytest.raises(JobNotFound):
        records.get("other", ID)


@pytest.mark.parametrize("job_id", ["", "no", ID.upper(), f"{ID}:events", f"{ID}\n", "é" * 32])
def test_what_is_no_job_id_is_not_found(records, job_id):
    create(records)
    with pytest.raises(JobNotFound):
        records.get("t", job_id)
    assert records.find(job_id) is None


def test_every_change_is_an_event_and_reading_resumes(records):
    create(records)
    records.update(ID, state="running")
    records.update(ID, state="succeeded")
    events = records.events(ID)
    assert [event.record.state for event in events] == ["queued", "running", "succeeded"]
    assert [event.record.state for event in records.events(ID, after=events[0].id)] == ["running", "succeeded"]
    assert records.events(ID, after=events[-1].id) == []


def test_an_event_holds_only_what_is_shown_and_the_attempt(records, redis):
    row = {"file": "a.wav", "label": "dog", "error": {"code": "audio_undecodable", "detail": "x" * 300}}
    create(records, training={"description": "🐈" * 2000}, left_out=[row] * 100, num_left_out=100)
    record = records.update(ID, state="running", attempts=1)
    event = records.events(ID)[-1]
    assert (record.at(event).public(), event.record.attempts) == (record.public(), 1)
    for _, stored in redis.xrange(records.events_key(ID)):
        assert sum(map(len, stored.values())) < 500


def test_a_description_is_stored_as_it_is(records, redis):
    create(records, training={"description": "🐈"})
    assert redis.hget(records.record_key(ID), "training").decode() == '{"description": "🐈"}'


def test_events_of_both_redis_protocols_are_read(records, redis_url):
    from redis import Redis

    create(records)
    for protocol in (2, 3):
        client = Redis.from_url(redis_url, protocol=protocol)
        answer = client.xread({records.events_key(ID): "0"})
        assert [event.record.id for event in JobRecords.parse_events(answer)] == [ID]
        client.close()


def test_an_ended_job_never_changes_again(records):
    create(records)
    records.update(ID, state="cancelled")
    assert records.update(ID, state="succeeded") is None
    assert records.get("t", ID).state == "cancelled"


def test_changes_from_many_threads_are_all_counted(records, redis_url):
    create(records)

    def count():
        own = JobRecords(connect(redis_url), ttl_s=100)
        for _ in range(20):
            own.update(ID, attempts=lambda record: record.attempts + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert records.get("t", ID).attempts == 80


def test_only_ended_jobs_expire(records, redis):
    create(records)
    assert redis.ttl(records.record_key(ID)) == -1
    records.update(ID, state="failed")
    assert 0 < redis.ttl(records.record_key(ID)) <= 100
    assert 0 < redis.ttl(records.events_key(ID)) <= 100
    assert records.live_ids() == [] and records.live_of("t") == []


def test_lists_are_newest_first_across_seconds(records):
    times = ["2026-01-01T00:00:01.900000Z", "2026-01-01T00:00:02.100000Z", "2026-01-01T00:01:00.000000Z"]
    for number, created_at in enumerate(times):
        create(records, id=f"{number:032x}", created_at=created_at)
    assert [record.created_at for record in records.list("t")[0]] == times[::-1]


def test_the_index_lets_go_of_what_has_long_expired(records, redis):
    now = datetime.now(UTC)
    ages_s = [0, 150, 250]  # records are kept for 100
    for number, age_s in reversed(list(enumerate(ages_s))):
        created_at = (now - timedelta(seconds=age_s)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        create(records, id=f"{number:032x}", created_at=created_at)
    assert redis.zcard(records.index_key("t")) == 2


def test_unfinished_jobs_are_counted_by_state(records, redis):
    assert records.num_unfinished() == {"queued": 0, "running": 0}
    states = ["queued", "queued", "queued", "running", "succeeded", "failed", "cancelled", "running"]
    for number, state in enumerate(states):
        create(records, id=f"{number:032x}", tenant=f"tenant {number}")
        if state != "queued":
            records.update(f"{number:032x}", state=state)
    redis.delete(records.record_key(f"{0:032x}"))
    assert records.num_unfinished() == {"queued": 2, "running": 2}


def test_lists_are_newest_first_in_pages_and_pass_over_expired_records(records, redis):
    ids = [f"{number:032x}" for number in range(7)]
    for job_id in ids:
        create(records, id=job_id)
    create(records, id="f" * 32, tenant="other")
    redis.delete(records.record_key(ids[4]))
    page, cursor = records.list("t", limit=3)
    assert [record.id for record in page] == [ids[6], ids[5], ids[3]]
    page, cursor = records.list("t", limit=3, after=cursor)
    assert [record.id for record in page] == [ids[2], ids[1], ids[0]]
    assert cursor is None


def test_a_record_of_a_newer_release_is_read(records, redis):
    record = create(records)
    redis.hset(records.record_key(ID), "not_known_here", "1")
    assert records.get("t", ID) == replace(record)


def test_a_record_of_the_first_release_is_read(records, redis):
    record = create(records)
    redis.hdel(records.record_key(ID), "left_out", "num_left_out", "warnings", "num_warnings")
    assert records.get("t", ID) == record
    assert record.public()["left_out"] == record.public()["warnings"] == []


def test_redis_away_is_named():
    client = connect("unix:///nowhere/redis.sock", num_retries=0)
    with pytest.raises(RedisUnavailable):
        JobRecords(client, ttl_s=1).get("t", ID)


@pytest.fixture(params=["full", "read-only"])
def closed_redis(request, redis):
    """A Redis that answers and takes no writes."""
    if request.param == "full":
        redis.config_set("maxmemory", 1)
    else:
        redis.replicaof("127.0.0.1", 1)
    yield redis
    redis.config_set("maxmemory", 0)
    redis.replicaof("no", "one")


def test_a_redis_that_takes_no_writes_is_named(closed_redis):
    with pytest.raises(RedisUnavailable, match="takes nothing in"):
        create(JobRecords(closed_redis, ttl_s=1))


def test_a_redis_that_cannot_save_is_named(redis):
    with pytest.raises(RedisUnavailable, match="takes nothing in"), translated():
        redis.eval("return redis.error_reply('MISCONF Redis is configured to save RDB snapshots')", 0)


def test_a_mistake_of_ours_passes(redis):
    with pytest.raises(ResponseError), translated():
        redis.set("a", "text")
        redis.hgetall("a")


DAMAGE = {
    "no json": ("state", "{"),
    "no state": ("state", '"paused"'),
    "no list": ("left_out", "3"),
    "no time": ("created_at", '"yesterday"'),
    "too deep": ("progress", "[" * 100_000),
}


@pytest.mark.parametrize("field", DAMAGE)
def test_a_damaged_record_is_a_job_that_failed_and_fails_no_list(records, redis, field):
    ids = [f"{number:032x}" for number in range(3)]
    for job_id in ids:
        create(records, id=job_id)
    redis.hset(records.record_key(ids[1]), *DAMAGE[field])
    damaged = records.get("t", ids[1])
    assert (damaged.state, damaged.error["code"], damaged.id) == ("failed", "record_damaged", ids[1])
    datetime.fromisoformat(damaged.public()["created_at"])
    page, cursor = records.list("t", limit=2)
    assert [record.id for record in page] == [ids[2], ids[1]]
    assert [record.id for record in records.list("t", limit=2, after=cursor)[0]] == [ids[0]]
    assert len(records.live_of("t")) == 3 and sum(records.num_unfinished().values()) >= 2
    assert records.update(ids[1], state="running") is None


def test_a_job_without_a_record_frees_its_tenants_slot_too(records, redis):
    create(records)
    create(records, id="b" * 32, tenant="other")
    redis.delete(records.record_key(ID))
    records.forget(ID)
    assert records.live_ids() == ["b" * 32]
    assert redis.scard(records.live_key("t")) == 0 and redis.scard(records.live_key("other")) == 1
