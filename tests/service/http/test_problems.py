"""Every error code that the OpenAPI document names is provoked, by the request or the accident that leads to it."""

import asyncio
import json
import tempfile

import numpy as np
import pytest

from adapters_store import StoreFull
from adapters_store.local_files import LocalFiles
from jobs.limits import StorageLimits
from service.http.problems import KINDS, PROBLEM_MEDIA_TYPE
from service.inference.account import Resource
from tests.service.sounds import tone, wav

CLIP = tone(440)
ZERO_SHOT = {"labels": ["dog", "cat"]}
CLIPS = [("clips", ("a.wav", CLIP)), ("clips", ("b.wav", tone(900)))]
TRAINING = {"name": "animals", "labels": ["dog", "cat"]}


class Service:
    """A service whose limits are low, and what can befall it."""

    def __init__(self, context, client, publish, monkeypatch):
        self.context = context
        self.client = client
        self.publish = publish
        self.monkeypatch = monkeypatch

    def classify(self, *files, **data):
        files = [("audio", (f"{number}.wav", content)) for number, content in enumerate(files or [CLIP])]
        return self.client.post("/classify", files=files, data=data or ZERO_SHOT)

    def adapt(self, *, files=CLIPS, headers=None, **data):
        return self.client.post("/adapt", files=files, data=TRAINING | data, headers=headers)

    def set_sensitivity(self):
        self.publish("animals", ["dog", "cat"])
        return self.client.put("/adapters/animals/thresholds", json={"sensitivity": "high"})

    def recalibrate(self):
        self.publish("animals", ["dog", "cat"])
        return self.client.post("/adapters/animals/recalibrate")

    def import_file(self, content):
        return self.client.post("/adapters/animals/file", content=content)

    def export(self):
        self.publish("animals", ["dog", "cat"])
        return self.client.get("/adapters/animals/file").content

    def file_of(self, ref):
        path = self.context.settings.data_dir / "adapters" / ref.tenant / ref.name / "versions"
        return path / f"{ref.version:06d}.safetensors"

    def replace(self, target, name, value):
        self.monkeypatch.setattr(target, name, value)


def malformed(service):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return service.client.post("/classify", content=b"--x\r\nno header", headers=headers)


def unknown_key(service):
    service.context.keys.add("acme")
    return service.client.get("/jobs", headers={"Authorization": "Bearer nonsense"})


def other_model(service):
    data = service.export()
    fingerprint = service.context.pipeline.clap.fingerprint.encode()
    return service.import_file(data.replace(fingerprint, b"0" * len(fingerprint)))


def in_flight(service):
    service.context.jobs.queue.claim("local", "once")
    return service.adapt(headers={"Idempotency-Key": "once"})


def other_body(service):
    headers = {"Idempotency-Key": "once"}
    assert service.adapt(headers=headers).status_code == 202
    return service.adapt(headers=headers, seed=7)


def results(service, **changes):
    job = service.adapt().json()["id"]
    service.context.jobs.records.update(job, **changes)
    return service.client.get(f"/jobs/{job}/results")


def in_quick_succession(service):
    answers = [service.client.get("/jobs") for _ in range(service.context.settings.request_burst + 1)]
    return answers[-1]


def two_jobs(service):
    assert service.adapt().status_code == 202
    return service.adapt(name="others")


def many_jobs(service):
    service.context.jobs.queue.settings = service.context.settings.model_copy(
        update={"queue_limit": 1, "tenant_queue_limit": 9}
    )
    return two_jobs(service)


def broken_scores(service):
    def fail(*_):
        raise RuntimeError("no such device")

    service.replace(type(service.context.pipeline.engine), "_encode", fail)
    return service.classify()


def broken_route(service):
    service.replace(service.context.jobs.records, "list", None)
    return service.client.get("/jobs")


def damaged_file(service):
    service.file_of(service.publish("animals", ["dog", "cat"])).write_bytes(b"damaged")
    return service.classify(CLIP, adapter="animals")


def full_queue(service):
    service.context.accounts.take("other", Resource.WINDOWS, 384)
    service.context.accounts.take("third", Resource.WINDOWS, 128)
    return service.classify()


def full_share(service):
    service.context.accounts.take("local", Resource.WINDOWS, 384)
    return service.classify()


def late(service):
    service.context.pipeline.classifier.queue_timeout_s = -1.0
    return service.classify()


def stopped_engine(service):
    service.context.pipeline.engine.stop()
    return service.client.get("/readyz")


def missing_store(service):
    service.context.settings.data_dir.joinpath("adapters").rmdir()
    service.context.settings.data_dir.joinpath("adapters").write_text("no directory")
    return service.classify(CLIP, adapter="animals")


def half_sent(service):
    app = service.client.app

    async def stalled(scope, receive, send):
        await app(scope, asyncio.Event().wait, send)

    service.replace(service.client._transport, "app", stalled)
    return service.classify()


def full_disk(service):
    service.replace(tempfile, "tempdir", "/nowhere")
    return service.classify(b"x" * 1_800_000)  # what is under a megabyte stays in memory


def full_store(service):
    data = service.export()

    def fail(*_):
        raise StoreFull("The store has no space left.")

    service.replace(LocalFiles, "write", fail)
    return service.import_file(data)


def missing_staging(service):
    service.context.settings.data_dir.joinpath("staging").write_text("no directory")
    return service.adapt()


def lost_redis(service):
    pool = service.context.jobs.records.redis.connection_pool
    pool.disconnect()
    service.replace(pool, "connection_kwargs", pool.connection_kwargs | {"path": "/nowhere.sock"})
    return service.client.get("/jobs")


def damaged_keys(service):
    service.context.settings.keys_path_or_default.write_text('[{"tenant": "acme"}]')
    return service.client.get("/adapters")


def unkept_clips(service):
    service.publish("animals", ["dog", "cat"])
    return service.client.get("/adapters/animals/clips")


def full_quota(service):
    service.publish("owls", ["tawny", "barn"])
    service.replace(service.context.jobs.quota, "limits", StorageLimits(max_adapters=1))
    return service.adapt()


PROVOKED = {
    "bad_request": malformed,
    "unauthenticated": unknown_key,
    "not_found": lambda s: s.client.get("/nowhere"),
    "adapter_not_found": lambda s: s.classify(CLIP, adapter="animals"),
    "clip_not_found": unkept_clips,
    "quota_exceeded": full_quota,
    "job_not_found": lambda s: s.client.get("/jobs/nowhere"),
    "results_not_found": lambda s: results(s, state="succeeded"),
    "results_not_ready": lambda s: results(s, state="running"),
    "method_not_allowed": lambda s: s.client.patch("/classify"),
    "adapter_model_mismatch": other_model,
    "idempotency_in_flight": in_flight,
    "body_too_large": lambda s: s.classify(b"x" * 2_000_000),
    "upload_too_large": lambda s: s.adapt(files=CLIPS * 2, labels=["a", "b"] * 2),
    "body_timeout": half_sent,
    "too_many_files": lambda s: s.classify(CLIP, CLIP, CLIP, CLIP),
    "body_unsupported": lambda s: s.client.post("/classify", json={"audio": "clip.wav"}),
    "audio_unsupported": lambda s: s.classify(b"\x89PNG\r\n\x1a\n" + b"x" * 100),
    "invalid_request": lambda s: s.classify(CLIP, labels=["a", "b"], top_k="0"),
    "audio_undecodable": lambda s: s.classify(CLIP[:60]),
    "audio_invalid": lambda s: s.classify(tone(440, duration_s=0.005)),
    "audio_too_long": lambda s: s.classify(wav(np.zeros(48_000 * 17))),
    "too_many_windows": lambda s: s.classify(*[wav(np.zeros(48_000 * 15))] * 3),
    "labels_invalid": lambda s: s.classify(CLIP, labels=["dog", "dog"]),
    "thresholds_unsupported": lambda s: s.set_sensitivity(),
    "recalibration_invalid": lambda s: s.recalibrate(),
    "thresholds_invalid": lambda s: s.classify(CLIP, labels=["a", "b"], thresholds='{"c": 1}'),
    "adapter_name_invalid": lambda s: s.classify(CLIP, adapter="../animals"),
    "adapter_invalid": lambda s: s.import_file(b"no adapter"),
    "audio_prompt_invalid": lambda s: s.adapt(audio_prompt="loud"),
    "training_config_invalid": lambda s: s.adapt(epochs="5000"),
    "upload_invalid": lambda s: s.adapt(labels=["dog"]),
    "archive_invalid": lambda s: s.adapt(files=[("archive", ("a.zip", b"no archive"))]),
    "idempotency_mismatch": other_body,
    "origin_not_allowed": lambda s: s.client.get("/jobs", headers={"Origin": "https://evil.example"}),
    "host_not_allowed": lambda s: s.client.get("/jobs", headers={"Host": "example.org"}),
    "rate_limited": in_quick_succession,
    "tenant_overloaded": full_share,
    "tenant_queue_full": two_jobs,
    "internal_error": broken_route,
    "engine_fault": broken_scores,
    "keys_unreadable": damaged_keys,
    "adapter_corrupt": damaged_file,
    "overloaded": full_queue,
    "queue_timeout": late,
    "not_ready": stopped_engine,
    "staging_unavailable": full_disk,
    "store_unavailable": missing_store,
    "queue_full": many_jobs,
    "redis_unavailable": lost_redis,
    "store_full": full_store,
}


@pytest.fixture
def settings(settings):
    limits = {
        "max_request_bytes": 1_900_000 * 3,
        "max_clip_bytes": 1_900_000,
        "max_upload_bytes": 800_000,
        "max_files": 3,
        "max_clips": 3,
        "max_request_windows": 4,
        "max_clip_s": 16.0,
        "body_idle_s": 0.1,
        "request_burst": 8,
        "requests_per_s": 0.5,
        "tenant_queue_limit": 1,
        "allowed_hosts": ("testserver",),
    }
    return settings.model_copy(update=limits)


@pytest.fixture
def service(context, client, publish, monkeypatch):
    return Service(context, client, publish, monkeypatch)


@pytest.mark.parametrize("code", PROVOKED)
def test_provoked(code, service):
    answer = PROVOKED[code](service)
    body = answer.json()
    assert (body["code"], answer.status_code) == (code, KINDS[code].status), body
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert service.context.metrics.errors.labels(code)._value.get() >= 1
    assert len(body["detail"]) > 10
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1


def test_a_disk_without_a_place_for_uploads_is_named(service):
    answer = missing_staging(service)
    assert (answer.status_code, answer.json()["code"]) == (503, "staging_unavailable")


def test_the_document_names_exactly_what_is_provoked(client):
    document = client.get("/openapi.json").json()
    documented = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                documented |= set(response.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples", {}))
    undocumented = {"not_found", "method_not_allowed"}  # they belong to no operation
    assert documented == set(PROVOKED) - undocumented
    assert set(KINDS) == set(PROVOKED)
    assert json.dumps(document).count("HTTPValidationError") == 0
