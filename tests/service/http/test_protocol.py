"""Offers of HTTP/2 on a connection of HTTP/1.1, which Java's HttpClient and `curl --http2` make at first."""

import json
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx2
import pytest
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http import protocol
from service.http.protocol import HEAD_TOO_LATE, MOST_QUEUED, Protocol, usable_protocol
from tests.service.http.wire import exchange, field, form
from tests.service.sounds import tone

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.*;

class Classify {
    public static void main(String[] arguments) throws Exception {
        var body = Files.readAllBytes(Path.of(arguments[1]));
        var client = HttpClient.newHttpClient();
        for (int i = 0; i < 2; i++) {
            var request = HttpRequest.newBuilder(URI.create(arguments[0] + "/classify"))
                .header("Content-Type", "multipart/form-data; boundary=x")
                .POST(BodyPublishers.ofByteArray(body)).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.version() + " " + answer.statusCode() + " " + answer.body());
        }
    }
}
"""


def classify_body(*, seconds=1.0):
    audio = field("audio", tone(440, duration_s=seconds), more='; filename="a.wav"')
    return form(audio, field("labels", '["dog", "rain"]'))


def head(content_type, *lines):
    lines = [b"POST /classify HTTP/1.1", b"Host: a", b"Content-Type: " + content_type.encode(), *lines]
    return b"\r\n".join(lines) + b"\r\n"


@pytest.mark.parametrize("upgrade", [b"h2c", b"HTTP/2.0, SHTTP/1.3", b"TLS/1.0", b"websocket"])
def test_an_offer_is_passed_over(shared_address, upgrade):
    (answer,) = exchange(shared_address, GET + OFFER.replace(b"h2c", upgrade) + b"\r\n")
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')


@pytest.mark.parametrize("seconds", [0.5, 30.0])
@pytest.mark.parametrize("step", [None, 1000])
def test_a_body_behind_an_offer_arrives_whole(shared_address, seconds, step):
    content_type, body = classify_body(seconds=seconds)
    request = head(content_type, b"Content-Length: %d" % len(body)) + OFFER + b"\r\n" + body
    step = step and len(request) // step + 1
    parts = [request[start:][:step] for start in range(0, len(request), step)] if step else [request]
    (answer,) = exchange(shared_address, *parts)
    assert answer.status == 200
    assert json.loads(answer.body)["results"][0]["duration_s"] == seconds


def test_a_body_in_chunks_behind_an_offer_arrives_whole(shared_address):
    content_type, body = classify_body()
    pieces = [body[start:][:7777] for start in range(0, len(body), 7777)]
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""]]
    (answer,) = exchange(shared_address, head(content_type, b"Transfer-Encoding: chunked") + OFFER + b"\r\n", *chunks)
    assert answer.status == 200


def test_requests_behind_an_offer_are_answered_in_their_order(shared_address):
    post = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + OFFER + b"\r\nabc"
    answers = exchange(shared_address, post + GET + OFFER + b"\r\n" + GET + b"\r\n" + post, num_answers=4)
    assert [answer.status for answer in answers] == [404, 200, 200, 404]


def test_a_client_that_waits_for_100_is_told_to_go_on(shared_address):
    content_type, body = classify_body()
    lines = b"Expect: 100-continue", b"Content-Length: %d" % len(body)
    answers = exchange(shared_address, head(content_type, *lines) + OFFER + b"\r\n", body, num_answers=2)
    assert [answer.status for answer in answers] == [100, 200]


@pytest.mark.parametrize(
    "request_",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"no request\r\n\r\n",
        GET + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        GET + OFFER + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        GET + OFFER + b"Content-Length: -3\r\n\r\nabcd",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n" + OFFER + b"\r\n",
    ],
)
def test_what_is_no_request_stays_one_answer_of_400(shared_address, request_):
    assert [answer.status for answer in exchange(shared_address, request_, num_answers=3)] == [400]
    assert [answer.status for answer in exchange(shared_address, GET + b"\r\n")] == [200]


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_curl_with_http2(shared_address, tmp_path):
    (tmp_path / "a.wav").write_bytes(tone(440))
    form_fields = ["-F", f"audio=@{tmp_path}/a.wav", "-F", "labels=dog", "-F", "labels=rain"]
    line = ["curl", "-sS", "--http2", f"{shared_address}/classify", *form_fields]
    answer = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert json.loads(answer.stdout)["results"][0]["duration_s"] == 0.5, answer


@pytest.mark.skipif(not shutil.which("javac"), reason="there is no JDK")
def test_javas_client(shared_address, tmp_path):
    (tmp_path / "Classify.java").write_text(JAVA)
    (tmp_path / "body").write_bytes(classify_body()[1])
    line = ["java", "-XX:TieredStopAtLevel=1", f"{tmp_path}/Classify.java", shared_address, f"{tmp_path}/body"]
    answer = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert [row.split()[:2] for row in answer.stdout.splitlines()] == [["HTTP_1_1", "200"]] * 2, answer


def test_the_protocol_is_usable():
    with structlog.testing.capture_logs() as lines:
        assert usable_protocol() is Protocol
    assert not lines


def broken(monkeypatch):
    monkeypatch.delattr(HttpToolsProtocol, "_should_upgrade")


def not_asked(monkeypatch):
    monkeypatch.setattr(Protocol, "_should_upgrade", HttpToolsProtocol._should_upgrade)
    monkeypatch.setattr(Protocol, "declines", lambda self: False)


@pytest.mark.parametrize("release", [broken, not_asked])
def test_without_uvicorns_private_parts_its_own_protocol_serves(monkeypatch, release):
    release(monkeypatch)
    with structlog.testing.capture_logs() as lines:
        assert usable_protocol() is HttpToolsProtocol
    (line,) = lines
    assert line["log_level"] == "warning"
    assert line["uvicorn"]


def test_a_head_without_end_is_cut_off(shared_address):
    """It grew in memory for as long as its client went on."""
    url = urlsplit(shared_address)
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: ")
        num_sent = 0
        with suppress(OSError):
            while num_sent < 10_000_000:
                connection.sendall(b"x" * 16_384)
                num_sent += 16_384
        assert num_sent < 10_000_000


def test_a_long_body_is_no_long_head(shared_address):
    head = b"POST /classify HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 300000\r\n\r\n"
    body = [b"x" * 100_000] * 3
    again = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    assert [answer.status for answer in exchange(shared_address, head, *body, again, num_answers=2)] == [415, 200]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ", HEAD_TOO_LATE, id="half a head"),
        pytest.param(GET + b"\r\nGET /heal", b'{"status":"ok"}' + HEAD_TOO_LATE, id="half of a second one"),
    ],
)
def test_a_connection_on_which_no_head_comes_is_ended(shared_address, monkeypatch, sent, answer):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.5)
    place = urlsplit(shared_address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.endswith(answer) and (answer or not received)


def test_a_request_whose_answer_takes_longer_than_a_head_may_is_answered(shared_address, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    content_type, body = classify_body(seconds=5.0)
    request = head(content_type, b"Content-Length: %d" % len(body)) + b"\r\n" + body
    (answer,) = exchange(shared_address, request[:-9], b"", b"", request[-9:])
    assert answer.status == 200


def test_of_many_idle_connections_the_oldest_make_way(shared_address, monkeypatch):
    monkeypatch.setattr(Protocol, "most_connections", 8)
    place = urlsplit(shared_address)
    content_type, body = classify_body(seconds=5.0)
    request = head(content_type, b"Content-Length: %d" % len(body)) + b"\r\n" + body
    with ExitStack() as stack:

        def connect():
            return stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=10))

        busy, answered = connect(), connect()
        busy.sendall(request[:-9])
        answered.sendall(GET + b"\r\n")
        assert b"200 OK" in answered.recv(65536)
        idle = []
        for _ in range(20):
            idle.append(connect())
            (answer,) = exchange(shared_address, GET + b"\r\n")
            assert answer.status == 200
        assert answered.recv(1) == b"" and idle[0].recv(1) == b""
        busy.sendall(request[-9:])  # which was opened before all of them, but has asked for something
        assert b"200 OK" in busy.recv(65536)
    metrics = httpx2.get(f"{shared_address}/metrics").text
    assert float(re.search(r"^earshot_connections_made_way_total (.+)$", metrics, re.MULTILINE)[1]) >= 13


CHUNKED = b"POST /adapt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"


@pytest.mark.parametrize(
    "piece", [b"a: b\r\n" * 5000, b"a" * 30_000, b"\r\n" * 15_000], ids=["trailers", "a trailer", "lines"]
)
@pytest.mark.parametrize("start", [CHUNKED + b"0\r\n", CHUNKED + b"1;", GET + b"\r\n"], ids=["end", "chunk", "idle"])
def test_what_is_neither_head_nor_body_has_a_bound(shared_address, piece, start):
    place = urlsplit(shared_address)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(start)
        with pytest.raises(OSError):
            for _ in range(40):
                connection.sendall(piece)
                time.sleep(0.02)
    (answer,) = exchange(shared_address, GET + b"\r\n")
    assert answer.status == 200


def test_trailers_are_passed_over(shared_address):
    content_type, body = classify_body()
    chunks = b"%x\r\n%s\r\n0\r\nX-Digest: a\r\n\r\n" % (len(body), body)
    request = head(content_type, b"Transfer-Encoding: chunked") + b"\r\n" + chunks
    answers = exchange(shared_address, request + GET + b"\r\n", num_answers=2)
    assert [answer.status for answer in answers] == [200, 200]


def test_few_requests_may_wait_for_their_turn(shared_address):
    answers = exchange(shared_address, (GET + b"\r\n") * MOST_QUEUED, num_answers=MOST_QUEUED)
    assert [answer.status for answer in answers] == [200] * MOST_QUEUED
    answers = exchange(shared_address, (GET + b"\r\n") * 5000, num_answers=5000)
    assert MOST_QUEUED <= len(answers) < 500 and answers[-1].headers["connection"] == "close"


NUM_ROUNDS = 6  # of more than what a system keeps on its way


@pytest.fixture
def stalled(shared_address, monkeypatch):
    """Opens connections whose clients ask for more than they take."""
    monkeypatch.setattr(protocol, "SEND_TIMEOUT_S", 1.0)
    place = urlsplit(shared_address)
    with ExitStack() as stack:

        def connect():
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((place.hostname, place.port))
            connection.settimeout(10)
            with suppress(ConnectionResetError):
                for _ in range(NUM_ROUNDS):
                    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * MOST_QUEUED)
                    time.sleep(0.3)
            return connection

        yield connect


def has_ended(connection, address):
    """Whether the service has ended it before all was taken."""
    num_bytes = 0
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            num_bytes += len(part)
    return num_bytes < 0.8 * NUM_ROUNDS * MOST_QUEUED * len(httpx2.get(f"{address}/openapi.json").content)


def test_an_answer_that_nobody_takes_is_given_up(shared_address, stalled):
    connection = stalled()
    time.sleep(3.0)
    assert has_ended(connection, shared_address)


def test_who_does_not_take_an_answer_makes_way(shared_address, stalled, monkeypatch):
    monkeypatch.setattr(protocol, "SEND_TIMEOUT_S", 60.0)
    monkeypatch.setattr(Protocol, "most_connections", 4)
    connections = [stalled() for _ in range(4)]
    time.sleep(1.0)
    for _ in range(3):
        (answer,) = exchange(shared_address, GET + b"\r\n")
        assert answer.status == 200
    assert has_ended(connections[0], shared_address)
