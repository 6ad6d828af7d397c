"""What an adapter hears of its channel, and the jobs that put it right."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from aspl import Adapter, TrainingConfig, fit
from aspl.channel_shift import Differences
from service.inference.drift import drift_key
from tests.service.sounds import tone

LABELS = ["low hum", "whistle", "hiss"]


@pytest.fixture
def taught(context, clap, clips):
    adapter = fit(clap, *clips, config=TrainingConfig(method="ridge"))
    data = adapter.to_bytes()
    return adapter, context.store.publish("local", "sounds", data, Adapter.read_header(data))


@pytest.fixture
def clips():
    generator = np.random.default_rng(0)
    waveforms = [
        (0.3 * np.sin(2 * np.pi * hz * generator.uniform(0.95, 1.05) * np.arange(48_000) / 48_000)).astype(np.float32)
        + noise * generator.standard_normal(48_000).astype(np.float32)
        for hz, noise in ((110, 0.01), (2400, 0.01), (700, 0.3))
        for _ in range(3)
    ]
    return waveforms, [label for label in LABELS for _ in range(3)]


def sums(num_clips: float, shift: np.ndarray, adapter, by_label=(1.0, 1.0, 1.0)) -> list[float]:
    shares = np.array(by_label) / sum(by_label)
    total, squares = num_clips * shift, num_clips * (shift**2 + 1)
    return Differences(num_clips, num_clips, num_clips, num_clips * shares, total, squares).vector().tolist()


def remember(context, ref, numbers):
    context.jobs.records.redis.hset(drift_key(ref), mapping={"sums": json.dumps(numbers), "since": "1.7e9"})


def heard(client, *tones):
    files = [("audio", (f"{hz}.wav", tone(hz))) for hz in tones]
    assert client.post("/classify", files=files, data={"adapter": "sounds"}).status_code == 200


def test_what_it_hears_is_shown_and_shared(client, context, taught):
    assert client.get("/adapters/sounds").json()["channel"] is None
    heard(client, 110, 2400)
    channel = client.get("/adapters/sounds").json()["channel"]
    assert channel["clips"] == 2 and not channel["advised"] and len(channel["bins_db"]) == 64
    assert set(channel["labels"]) == set(LABELS) and sum(channel["labels"].values()) <= 2
    drift = context.pipeline.drift
    client.portal.call(drift.flush, context.redis.drift)

    def stored():
        return json.loads(context.jobs.records.redis.hget(drift_key(taught[1]), "sums"))[0]

    assert stored() == 2
    heard(client, 110)
    assert client.get("/adapters/sounds").json()["channel"]["clips"] == 3
    drift._tallies.clear()  # as another replica, which has heard nothing itself
    assert client.get("/adapters/sounds").json()["channel"]["clips"] == stored()  # the third may be there by now


def test_what_is_on_its_way_to_redis_is_shown_too(client, context, taught):
    """Between the first sending and its answer neither redis nor what waits has it."""
    client.portal.call(context._flushing.cancel)  # which sends now and then by itself
    heard(client, 110, 2400)
    drift, shown = context.pipeline.drift, []

    class Slow:
        async def eval(self, *arguments):
            stored = [None, None]  # as they are until redis has taken them
            shown.append(drift.heard(taught[1], stored, len(LABELS)).differences.clips)
            return await context.redis.drift.eval(*arguments)

    client.portal.call(drift.flush, Slow())
    assert shown == [2] and client.get("/adapters/sounds").json()["channel"]["clips"] == 2


def test_what_was_heard_long_ago_fades(client, context, taught):
    remember(context, taught[1], sums(1000, np.zeros(64), taught[0]))
    heard(client, 110)
    client.portal.call(context.pipeline.drift.flush, context.redis.drift)
    stored = json.loads(context.jobs.records.redis.hget(drift_key(taught[1]), "sums"))
    assert stored[0] == pytest.approx(1000 * np.exp(-1 / 1000) + 1, rel=1e-3)


def test_a_drift_is_advised_counted_and_put_right_without_audio(client, context, taught):
    adapter, ref = taught
    shift = np.linspace(-9, 9, 64)
    remember(context, ref, sums(400, shift, adapter))
    heard(client, 110)
    client.portal.call(context.pipeline.drift.flush, context.redis.drift)
    channel = client.get("/adapters/sounds").json()["channel"]
    assert channel["advised"] and channel["wanting"] == [] and channel["difference_db"] > 3
    assert "earshot_drifting_adapters 1.0" in client.get("/metrics").text
    answer = client.post("/adapters/sounds/recalibrate")
    assert answer.status_code == 202, answer.text
    record = context.jobs.records.find(answer.json()["id"])
    assert record.kind == "recalibrate" and record.request["reference"] == "sounds@1"
    assert len(record.request["heard"]) == 3 + 3 + 128


@pytest.mark.parametrize(
    ("numbers", "wanting"),
    [
        (dict(num_clips=5, shift=np.linspace(-9, 9, 64)), "20 are needed"),
        (dict(num_clips=400, shift=np.linspace(-9, 9, 64), by_label=(1.0, 0.01, 0.01)), "of one label"),
        (dict(num_clips=400, shift=np.zeros(64)), "less than 1.5"),
    ],
)
def test_what_does_not_suffice_is_refused_with_what_is_wanting(client, context, taught, numbers, wanting):
    remember(context, taught[1], sums(adapter=taught[0], **numbers))
    answer = client.post("/adapters/sounds/recalibrate")
    assert answer.status_code == 409 and answer.json()["code"] == "recalibration_invalid"
    assert wanting in answer.json()["detail"] and "Send audio" in answer.json()["detail"]


def test_live_clips_make_a_job(client, context, taught):
    files = [("audio", (f"{number}.wav", tone(200 + number))) for number in range(5)]
    answer = client.post("/adapters/sounds@1/recalibrate", files=files, data={"promote": "never"})
    assert answer.status_code == 202, answer.text
    record = context.jobs.records.find(answer.json()["id"])
    assert record.request == {"reference": "sounds@1", "promote": "never"} and record.name == "sounds"
    assert len(context.jobs.uploads.usable(record.upload_id)) == 5
    few = client.post("/adapters/sounds/recalibrate", files=files[:4])
    assert few.status_code == 422
    assert few.json()["detail"] == "4 unlabelled clips came; a channel is told from 5 or more"
    alike = client.post("/adapters/sounds/recalibrate", files=[files[0]] * 3 + files[1:4])
    assert alike.json()["detail"] == "6 unlabelled clips came, 4 of them different; a channel is told from 5 or more"
    spoilt = [*files[:4], ("audio", ("notes.txt", b"no sound"))]
    answer = client.post("/adapters/sounds/recalibrate", files=spoilt)
    assert answer.status_code == 422 and "4 of 5 unlabelled clips can be used" in answer.json()["detail"]


def test_a_request_that_comes_again_is_one_job(client, context, taught):
    key = {"Idempotency-Key": "once"}
    remember(context, taught[1], sums(400, np.linspace(-9, 9, 64), taught[0]))
    first = client.post("/adapters/sounds/recalibrate", headers=key)
    remember(context, taught[1], sums(500, np.linspace(-9, 9, 64), taught[0]))  # it has heard more meanwhile
    again = client.post("/adapters/sounds/recalibrate", headers=key)
    assert first.status_code == again.status_code == 202, again.text
    assert first.json()["id"] == again.json()["id"]
    files = [("audio", (f"{number}.wav", tone(200 + number))) for number in range(5)]
    other = client.post("/adapters/sounds/recalibrate", files=files, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_what_cannot_be_meant_is_refused(client, context, taught):
    assert client.post("/adapters/sounds/recalibrate", json={"audio": 1}).json()["code"] == "body_unsupported"
    assert client.post("/adapters/sounds/recalibrate", files={"clips": b"x"}).json()["code"] == "invalid_request"
    odd = client.post("/adapters/sounds/recalibrate", files={"audio": b"x"}, data={"promote": "soon"})
    assert odd.json()["code"] == "invalid_request" and "promote" in odd.json()["detail"]
    assert client.post("/adapters/doors/recalibrate").json()["code"] == "adapter_not_found"


def test_files_of_earlier_releases_are_refused_with_what_to_do(client, context, taught):
    data = replace(taught[0], taught_curves=None).to_bytes()
    context.store.publish("local", "old", data, Adapter.read_header(data))
    answer = client.post("/adapters/old/recalibrate").json()
    assert answer["code"] == "recalibration_invalid" and "teach it again" in answer["detail"]
    assert client.get("/adapters/old").json()["channel"] is None


def test_live_clips_come_with_a_teaching(client, context):
    clips = [("clips", (f"{hz}.wav", tone(hz))) for hz in (110, 2400)]
    live = [("unlabelled", (f"{number}.wav", tone(300 + number))) for number in range(5)]
    form = {"name": "sounds", "labels": ["low", "high"]}
    answer = client.post("/adapt", files=clips + live, data=form)
    assert answer.status_code == 202, answer.text
    record = context.jobs.records.find(answer.json()["id"])
    assert set(record.request) == {"unlabelled"} and answer.json()["left_out"] == []
    spoilt = ("unlabelled", ("notes.txt", b"no sound"))
    [row] = client.post("/adapt", files=[*clips, *live, spoilt], data=form).json()["left_out"]
    assert (row["file"], row["label"]) == ("notes.txt", "unlabelled")
    assert client.post("/adapt", files=clips + live[:3], data=form).json()["code"] == "upload_invalid"


def test_a_redis_that_is_away_holds_nobody_up(client, context, taught):
    class Away:
        async def eval(self, *_):
            from redis.exceptions import ConnectionError

            raise ConnectionError

    heard(client, 110)
    asyncio.run(context.pipeline.drift.flush(Away()))
    assert client.get("/adapters/sounds").json()["channel"]["clips"] == 1
