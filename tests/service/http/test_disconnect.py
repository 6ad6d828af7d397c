import socket
import threading
import time
from urllib.parse import urlsplit

import httpx2
import pytest
import structlog

from tests.service.sounds import tone

LABELS = {"labels": ["dog", "cat"]}


def test_a_clip_whose_client_left_is_not_encoded(address, context, monkeypatch):
    entered, gate, sizes = threading.Event(), threading.Event(), []
    encode = context.pipeline.engine._encode

    def encode_once_open(rows):
        entered.set()
        gate.wait(10)
        sizes.append(sum(row.count for row in rows))
        return encode(rows)

    monkeypatch.setattr(context.pipeline.engine, "_encode", encode_once_open)
    files = [("audio", ("a.wav", tone(440)))]
    first = threading.Thread(target=httpx2.post, args=(f"{address}/classify",), kwargs={"files": files, "data": LABELS})
    first.start()
    assert entered.wait(10)
    leave_while_waiting(address, files, context)
    gate.set()
    first.join()
    assert httpx2.post(f"{address}/classify", files=files, data=LABELS, timeout=10).status_code == 200
    assert sizes == [1, 1]


def leave_while_waiting(address, files, context):
    """Send a whole request, wait until its clip is queued, and hang up."""
    request = httpx2.Request("POST", f"{address}/classify", files=files, data=LABELS)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(f"POST /classify HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        wait_for(lambda: context.pipeline.engine.queue.num_units() == 1)
    wait_for(lambda: all(t.future.done() for ts in context.pipeline.engine.queue._work.values() for t in ts))


def wait_for(condition, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("route", "content_type"),
    [
        ("/classify", "multipart/form-data; boundary=x"),
        ("/adapt", "multipart/form-data; boundary=x"),
        ("/adapters/{name}/file", "application/octet-stream"),
        ("/adapters/{name}/current", "application/json"),
    ],
)
def test_a_client_that_leaves_in_mid_upload_is_no_fault_of_the_service(address, context, route, content_type):
    url = urlsplit(address)
    method = "PUT" if route.endswith("current") else "POST"
    head = f"{method} {route.format(name='animals')} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n"
    with structlog.testing.capture_logs() as lines:
        with socket.create_connection((url.hostname, url.port)) as connection:
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--x\r\n".encode())
        wait_for(lambda: any(line["event"] == "request" for line in lines))
    assert [(line["log_level"], line["status"]) for line in lines] == [("info", 499)]
    assert context.metrics.requests.labels(method, route, "499")._value.get() == 1
