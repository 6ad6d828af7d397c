import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2

from service.http import routes_health
from tests.service.sounds import tone


def test_readiness_runs_a_real_forward_pass(client, context):
    assert not context.pipeline.engine.is_fresh(60)
    assert client.get("/readyz").json() == {"status": "ok"}
    assert context.pipeline.engine.is_fresh(60)


def test_a_model_that_hangs_is_no_longer_alive(client, context, monkeypatch):
    assert client.get("/healthz").status_code == 200
    entered, gate = threading.Event(), threading.Event()

    def hang(rows):
        entered.set()
        gate.wait(10)
        raise RuntimeError("the device is lost")

    monkeypatch.setattr(context.pipeline.engine, "_encode", hang)
    monkeypatch.setattr(routes_health, "MAX_BATCH_S", 0.0)
    files, data = [("audio", ("a.wav", tone(440)))], {"labels": ["dog", "cat"]}
    caller = threading.Thread(target=client.post, args=("/classify",), kwargs={"files": files, "data": data})
    caller.start()
    assert entered.wait(10)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    gate.set()
    caller.join()
    assert client.get("/healthz").status_code == 200


def test_a_model_whose_thread_is_gone_is_no_longer_alive(client, context):
    context.pipeline.engine.stop()
    assert client.get("/healthz").status_code == 503


def test_info_names_the_model(client, clap):
    info = client.get("/info").json()
    assert info["model"]["fingerprint"] == clap.fingerprint
    assert info["limits"]["max_clip_s"] == 600


def test_info_says_whether_a_key_is_needed(client, context):
    assert client.get("/info").json()["needs_key"] is False
    context.keys.add("acme")
    assert client.get("/info").json()["needs_key"] is True
    context.keys.path.write_text("[")  # what cannot be read lets nobody in
    assert client.get("/info").json()["needs_key"] is True


def test_metrics_count_without_naming_tenants_or_adapters(client, publish):
    publish("animals", ["dog", "cat"])
    client.post("/classify", files=[("audio", ("a.wav", tone(440)))], data={"adapter": "animals"})
    client.get("/adapters/animals")
    text = client.get("/metrics").text
    assert 'earshot_requests_total{method="POST",route="/classify",status="200"} 1.0' in text
    assert 'route="/adapters/{name}"' in text
    assert "earshot_cached_adapters 1.0" in text
    assert "animals" not in text


def test_metrics_tell_how_many_jobs_are_to_end(client, context):
    assert "earshot_unfinished_jobs 0.0" in client.get("/metrics").text
    for name in ("one", "two"):
        context.jobs.queue.submit("acme", name, "upload", {})
    context.jobs.records.update(context.jobs.records.live_ids()[0], state="running")
    text = client.get("/metrics").text
    assert "earshot_unfinished_jobs 2.0" in text
    assert 'earshot_jobs{state="queued"} 1.0' in text
    assert 'earshot_jobs{state="running"} 1.0' in text


def test_a_burst_of_probes_is_one_look_at_redis(address, context, monkeypatch):
    pings, ping = [], context.redis.health.ping

    async def counted():
        pings.append(1)
        await asyncio.sleep(0.5)
        return await ping()

    monkeypatch.setattr(context.redis.health, "ping", counted)
    assert httpx2.get(f"{address}/readyz", timeout=20).status_code == 200
    with ThreadPoolExecutor(150) as probers:
        answers = list(probers.map(lambda _: httpx2.get(f"{address}/readyz", timeout=20).status_code, range(150)))
    assert set(answers) == {200}
    assert len(pings) < 40
