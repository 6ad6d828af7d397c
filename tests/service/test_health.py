from tests.service.sounds import tone


def test_readiness_runs_a_real_forward_pass(client, context):
    assert not context.engine.is_fresh(60)
    assert client.get("/readyz").json() == {"status": "ok"}
    assert context.engine.is_fresh(60)


def test_info_and_page_name_the_model(client, clap):
    info = client.get("/info").json()
    assert info["model"]["fingerprint"] == clap.fingerprint
    assert info["limits"]["max_clip_s"] == 600
    assert clap.fingerprint[:12] in client.get("/").text


def test_metrics_count_without_naming_tenants_or_adapters(client, publish):
    publish("animals", ["dog", "cat"])
    client.post("/classify", files=[("audio", ("a.wav", tone(440)))], data={"adapter": "animals"})
    client.get("/adapters/animals")
    text = client.get("/metrics").text
    assert 'earshot_requests_total{method="POST",route="/classify",status="200"} 1.0' in text
    assert 'route="/adapters/{name}"' in text
    assert "earshot_cached_adapters 1.0" in text
    assert "animals" not in text
