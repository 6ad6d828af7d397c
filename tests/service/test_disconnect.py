import socket
import threading
import time
from urllib.parse import urlsplit

import httpx2

from tests.service.sounds import tone

LABELS = {"labels": ["dog", "cat"]}


def test_a_clip_whose_client_left_is_not_encoded(address, context, monkeypatch):
    entered, gate, sizes = threading.Event(), threading.Event(), []
    encode = context.engine._encode

    def held(rows):
        entered.set()
        gate.wait(10)
        sizes.append(sum(row.count for row in rows))
        return encode(rows)

    monkeypatch.setattr(context.engine, "_encode", held)
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
        wait_for(lambda: context.engine.queue.num_windows() == 1)
    wait_for(lambda: all(t.future.done() for ts in context.engine.queue._tickets.values() for t in ts))


def wait_for(condition, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
