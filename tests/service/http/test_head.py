import httpx2
import pytest

from service.http import docs
from tests.service.http.wire import exchange
from tests.service.sounds import tone

CLIPS = [("clips", ("a.wav", tone(440))), ("clips", ("b.wav", tone(900)))]


@pytest.mark.parametrize(
    "path",
    [
        "/", "/healthz", "/readyz", "/info", "/metrics", "/openapi.json", *sorted(docs.PATHS), "/jobs", "/jobs/JOB",
        "/adapters", "/adapters/animals", "/adapters/animals@1", "/adapters/animals/versions", "/adapters/animals/file",
        "/adapters/nobody", "/jobs/nobody", "/nowhere", "/jobs?limit=0",
    ],
)  # fmt: skip
def test_head_has_the_headers_of_get_and_no_body(address, publish, path):
    publish("animals", ["dog", "cat"])
    job = httpx2.post(f"{address}/adapt", files=CLIPS, data={"name": "more", "labels": ["dog", "cat"]}).json()
    path = path.replace("JOB", job["id"])
    expected = httpx2.get(f"{address}{path}")
    answer = httpx2.head(f"{address}{path}")
    assert (answer.status_code, answer.content) == (expected.status_code, b"")
    volatile = {"date", "x-request-id", *(["content-length"] if path == "/metrics" else [])}
    shown, wanted = ({k: v for k, v in one.headers.items() if k not in volatile} for one in (answer, expected))
    assert shown == wanted
    assert answer.headers["x-request-id"]


def test_no_body_follows_on_the_connection(address):
    head, get = (f"{method} /info HTTP/1.1\r\nHost: a\r\n\r\n".encode() for method in ("HEAD", "GET"))
    _, answer = exchange(address, head + get, num_answers=2, num_heads=1)
    assert answer.body.startswith(b'{"version"')


def test_head_of_a_stream_of_events_does_not_wait_for_its_end(address):
    job = httpx2.post(f"{address}/adapt", files=CLIPS, data={"name": "more", "labels": ["dog", "cat"]}).json()
    answer = httpx2.head(f"{address}/jobs/{job['id']}/events", headers={"Last-Event-ID": "9"}, timeout=5)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


def test_head_needs_a_key_and_counts_as_itself(client, context):
    context.keys.add("acme")
    assert client.head("/adapters").status_code == 401
    assert client.head("/healthz").status_code == 200
    text = client.get("/metrics").text
    assert 'earshot_requests_total{method="HEAD",route="/healthz",status="200"} 1.0' in text


@pytest.mark.parametrize("path", ["/classify", "/adapt"])
def test_where_there_is_no_get_there_is_no_head(client, path):
    answer = client.head(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/adapters/a", "GET, DELETE, HEAD"), ("/adapters/a/file", "GET, POST, HEAD"), ("/jobs/a", "GET, DELETE, HEAD"),
        ("/adapters/a/current", "PUT"), ("/classify", "POST"), ("/", "GET, HEAD"),
    ],
)  # fmt: skip
def test_allow_names_every_method_of_an_address(client, path, methods):
    answer = client.patch(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(("path", "status"), [("/classify", 405), ("/jobs", 405), ("/nowhere", 404), ("*", 404)])
def test_options_is_refused_as_any_method_that_is_not_there(address, path, status):
    (answer,) = exchange(address, f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.status == status
    assert "access-control-allow-origin" not in answer.headers
