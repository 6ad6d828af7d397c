import asyncio
import json
import socket
import time
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from service.http.app import create_app, is_loopback
from service.keys import KeyFile
from service.settings import ServiceSettings
from tests.service.sounds import tone


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"body_idle_s": 0.3})


def test_keys_name_tenants_and_are_not_kept(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    assert not keys.has_keys()
    acme, other = keys.add("acme"), keys.add("other")
    assert (keys.tenant_of(acme), keys.tenant_of(other), keys.tenant_of("esk_nonsense")) == ("acme", "other", None)
    stored = (tmp_path / "keys.json").read_text()
    assert acme not in stored
    assert acme.rpartition("_")[2] not in stored
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0


def test_a_revoked_key_is_refused_at_once(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.add("acme")
    kept = keys.add("acme")
    elsewhere = KeyFile(tmp_path / "keys.json")
    assert elsewhere.tenant_of(key) == "acme"
    assert keys.revoke("acme", keys.records("acme")[0].id) == 1
    assert (elsewhere.tenant_of(key), elsewhere.tenant_of(kept)) == (None, "acme")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_opens_its_tenants_adapters_alone(context, client, publish, header):
    publish("animals", ["dog", "cat"], tenant="acme")
    publish("animals", ["owl", "fox"], tenant="other")
    key = context.keys.add("acme")
    headers = {header: f"Bearer {key}" if header == "Authorization" else key}
    files = [("audio", ("a.wav", tone(440)))]
    answer = client.post("/classify", files=files, data={"adapter": "animals"}, headers=headers).json()
    assert {score["label"] for score in answer["results"][0]["scores"]} == {"dog", "cat"}
    assert client.post("/classify", files=files, data={"adapter": "animals"}).status_code == 401


def test_with_keys_made_the_local_tenant_is_gone(context, client):
    assert client.get("/adapters").status_code == 200
    context.keys.add("acme")
    assert client.get("/adapters").status_code == 401
    assert client.get("/healthz").status_code == 200


def test_revoking_the_last_key_opens_nothing(context, client):
    key = context.keys.add("acme")
    assert client.get("/adapters", headers={"X-API-Key": key}).status_code == 200
    context.keys.revoke("acme")
    assert client.get("/adapters").status_code == 401
    context.keys.path.unlink()
    assert client.get("/adapters").status_code == 401


def test_a_start_after_the_last_key_was_revoked_opens_nothing(context):
    context.keys.add("acme")
    context.keys.revoke("acme")
    with TestClient(create_app(context)) as client:
        assert client.get("/adapters").status_code == 401


def test_a_setting_asks_for_keys_before_any_was_made(context, settings):
    context.settings = settings.model_copy(update={"keys": "required"})
    with TestClient(create_app(context)) as client:
        assert client.get("/adapters").status_code == 401


CLIP_FORM = {"files": [("audio", ("a.wav", tone(440)))], "data": {"labels": ["dog", "cat"]}}


NAMED = {"allowed_hosts": ("ear.example.org",), "cors_origins": ("https://app.example.org",)}


@pytest.mark.parametrize(
    ("host", "origin", "code", "named"),
    [
        ("127.0.0.1:8000", None, None, {}),
        ("localhost:8000", "http://localhost:3000", None, {}),
        ("[::1]:8000", "http://[::1]:8000", None, {}),
        ("ear.example.org", None, "host_not_allowed", {}),
        ("ear.example.org", "https://ear.example.org", None, NAMED),  # a proxy
        ("ear.example.org", "https://app.example.org", None, NAMED),  # a page that may
        ("127.0.0.1:8000", "https://evil.example", "origin_not_allowed", {}),
        ("127.0.0.1:8000", "null", "origin_not_allowed", {}),
        ("127.0.0.1:8000", "http://127.0.0.1.evil.example", "origin_not_allowed", {}),
        ("ear.example.org", "https://evil.example", "origin_not_allowed", NAMED),
        ("evil.example:8000", None, "host_not_allowed", {}),  # whose name leads to 127.0.0.1
        ("evil.example:8000", "http://evil.example:8000", "origin_not_allowed", {}),
    ],
)
def test_without_keys_pages_of_others_are_refused(context, settings, host, origin, code, named):
    context.settings = settings.model_copy(update={"allowed_hosts": (), **named})
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    with TestClient(create_app(context)) as client:
        answer = client.post("/classify", headers=headers, **CLIP_FORM)
        assert answer.json().get("code") == code


def test_with_keys_any_page_may_that_has_one(context, settings):
    context.settings = settings.model_copy(update={"allowed_hosts": ()})
    key = {"X-API-Key": context.keys.add("acme")}
    headers = {"Host": "evil.example", "Origin": "https://evil.example"}
    with TestClient(create_app(context)) as client:
        assert client.post("/classify", headers=headers | key, **CLIP_FORM).status_code == 200
        assert client.post("/classify", headers=headers, **CLIP_FORM).status_code == 401


def test_what_is_not_http_is_let_in_by_no_key(context):
    sent = []

    async def send(message):
        sent.append(message)

    app = create_app(context)
    asyncio.run(app({"type": "websocket", "path": "/jobs", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_beyond_loopback_no_key_is_no_entry(context, settings):
    context.settings = settings.model_copy(update={"host": "0.0.0.0"})
    with TestClient(create_app(context)) as client:
        assert client.get("/adapters").status_code == 401


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)]
)
def test_is_loopback(host, expected):
    assert is_loopback(host) is expected


def test_a_body_is_cut_off_whether_its_length_is_declared_or_not(client, context):
    too_much = context.settings.max_adapter_bytes + 1

    def chunks():
        for _ in range(too_much // 65536 + 1):
            yield b"x" * 65536

    for content in (b"x" * too_much, chunks()):
        answer = client.post("/adapters/animals/file", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert answer.json()["limit"] == {"name": "max_adapter_bytes", "value": too_much - 1}


def test_a_clients_request_id_comes_back(client):
    assert client.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_a_body_that_stops_coming_ends_its_connection(address, context):
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        head = "POST /classify HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--x\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))  # until the service closes
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["limit"] == {"name": "body_idle_s", "value": 0.3}


def test_a_body_that_is_whole_may_wait_for_its_answer(address, context, monkeypatch):
    decode = context.pipeline.decoder._decode
    monkeypatch.setattr(context.pipeline.decoder, "_decode", lambda *clip: time.sleep(0.6) or decode(*clip))
    clip_form = {"files": [("audio", ("a.wav", tone(440)))], "data": {"labels": ["dog", "cat"]}}
    assert httpx2.post(f"{address}/classify", timeout=20, **clip_form).status_code == 200


def test_text_in_a_form_is_bounded(client):
    files = [("audio", ("a.wav", tone(440)))]
    for data in ({"labels": ["a", "b"], "other": "x" * 65_537}, {"labels": ["a", "b"], "other": ["x"] * 2_200}):
        assert client.post("/classify", files=files, data=data).status_code == 413
    labels = [f"{number:060d}" for number in range(999)]
    data = {"labels": json.dumps(labels), "top_k": "1"}
    assert client.post("/classify", files=files, data=data).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("api.example.org", True), ("API.Example.org:8443", True), ("a.b.example.com", True), ("example.com", False),
        ("evil.example", False), ("api.example.org.evil.example", False), ("evilexample.com", False), ("", False),
        ("[::1]:8000", True), ("127.0.0.1", False), ("a" * 5000, False), ("." * 3000, False),
    ],
)  # fmt: skip
def test_only_allowed_hosts_are_answered(context, settings, host, is_allowed):
    context.settings = settings.model_copy(update={"allowed_hosts": ("api.example.org", "*.example.com", "[::1]")})
    with TestClient(create_app(context)) as client:
        answer = client.get("/jobs", headers={"Host": host})
        assert answer.status_code == (200 if is_allowed else 421)
        assert is_allowed or answer.json()["code"] == "host_not_allowed"
        both = [("Host", host), ("Host", "evil.example")]
        assert client.get("/jobs", headers=both).status_code == 421
        # A prober asks an address, and tells nobody anything.
        assert client.get("/readyz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("given", ["https://a.example", "a.example:80", "A.example", "a.*", "*.", "a b/c"])
def test_what_is_no_host_is_named(monkeypatch, given):
    monkeypatch.setenv("EARSHOT_ALLOWED_HOSTS", given)
    with pytest.raises(ValidationError, match="no host"):
        ServiceSettings()
