"""Bodies lie on the disk, and in memory only as far as is counted."""

import os
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.datastructures import UploadFile

from benchmarks.machine import resident_mib
from service.bounds import MAX_BODY_MEMORY
from service.http.spool import MAX_MEMORY_BYTES, Spool
from service.inference.account import Resource
from tests.service.http.wire import field, form
from tests.service.sounds import tone

MIB = 2**20
LABELS = {"labels": ["dog", "cat"]}


@pytest.fixture
def charge(context):
    with context.accounts.open("acme") as charge:
        yield charge


@pytest.mark.parametrize("sizes", [[10, 0, 7], [MAX_MEMORY_BYTES, 3], [3, 2 * MAX_MEMORY_BYTES, 5]])
def test_parts_are_read_as_they_were_written(charge, sizes):
    spool = Spool(charge)
    contents = [os.urandom(size) for size in sizes]
    parts = [spool.part() for _ in sizes]  # the parser may be ahead of what is written
    for part, content in zip(parts, contents, strict=True):
        for start in range(0, len(content), 100_000):
            part.write(content[start : start + 100_000])
    assert spool.is_on_disk == (sum(sizes) > MAX_MEMORY_BYTES)
    for part, content in zip(parts, contents, strict=True):
        part.seek(0)
        assert part.read(3) + part.read() == content
        assert part.seek(0, os.SEEK_END) == part.tell() == len(content)
    for part in parts:
        part.close()


def test_without_room_in_memory_the_disk_takes_even_a_small_file(context, charge):
    context.accounts.take("other", Resource.BODY_MEMORY, 0.75 * MAX_BODY_MEMORY)
    context.accounts.take("third", Resource.BODY_MEMORY, 0.25 * MAX_BODY_MEMORY)
    with Spool(charge).part() as part:
        part.write(b"abc")
        part.seek(0)
        assert (part._rolled, part.read()) == (True, b"abc")


def test_six_large_bodies_do_not_weigh_on_memory(address, context):
    """Sixty files of 1 MiB each were 61 MB in memory, of every request under way."""
    assert httpx2.post(f"{address}/classify", files=[("audio", ("a.wav", tone(440)))], data=LABELS).status_code == 200
    before = resident_mib(os.getpid())
    gate = threading.Barrier(7)
    senders = [threading.Thread(target=send_slowly, args=(address, gate)) for _ in range(6)]
    for sender in senders:
        sender.start()
    gate.wait(60)  # all but the last byte of each has been sent
    wait_for(lambda: context.accounts.held(Resource.BODY_BYTES, "local") >= 6 * 60 * MIB)
    time.sleep(1)
    peak = resident_mib(os.getpid())
    gate.wait(60)
    for sender in senders:
        sender.join()
    assert peak - before < 60  # MiB; of 360
    wait_for(lambda: context.accounts.held(Resource.BODY_BYTES) == 0)


def send_slowly(address, gate):
    """Sixty files of 1 MiB in an adaptation, whose last byte waits for all the others."""
    url = urlsplit(address)
    part = b'--x\r\nContent-Disposition: form-data; name="clips"; filename="a.wav"\r\n\r\n'
    rows, piece = 60, os.urandom(65536)
    size = rows * (len(part) + MIB + 2) + len(b"--x--\r\n")
    head = "POST /adapt HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        for _ in range(rows):
            connection.sendall(part)
            for _ in range(MIB // len(piece)):
                connection.sendall(piece)
            connection.sendall(b"\r\n")
        gate.wait(60)
        gate.wait(60)


def wait_for(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_tenant_has_no_more_under_way_than_leaves_room(client, context):
    largest = 8 * context.settings.max_upload_bytes
    context.accounts.take("local", Resource.BODY_BYTES, 0.75 * largest)
    files = [("audio", ("a.wav", tone(440)))]
    refused = client.post("/classify", files=files, data=LABELS)
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (
        429,
        "tenant_overloaded",
        "1",
    )
    key = context.keys.add("other")  # of which nothing is under way
    assert client.post("/classify", files=files, data=LABELS, headers={"X-API-Key": key}).status_code == 200
    context.accounts.take("third", Resource.BODY_BYTES, 0.25 * largest)
    refused = client.post("/classify", files=files, data=LABELS, headers={"X-API-Key": key})
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["Retry-After"] == "1"


def test_a_body_without_a_length_is_counted_as_it_comes(client, context):
    context.accounts.take("local", Resource.BODY_BYTES, 0.75 * 8 * context.settings.max_upload_bytes - 1000)
    content_type, body = form(field("audio", tone(440), more='; filename="a.wav"'), field("labels", '["dog", "cat"]'))
    answer = client.post("/classify", content=iter([body]), headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (429, "tenant_overloaded")


def test_texts_and_heads_of_a_form_are_bounded_together(client):
    fields = {f"field-{number}": "x" * 60_000 for number in range(100)}
    answer = client.post("/classify", files=[("audio", ("a.wav", tone(440)))], data=LABELS | fields)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_an_uploaded_file_of_starlettes_kind_knows_where_it_lies(charge):
    spool = Spool(charge)
    file = UploadFile(spool.part())
    assert file._in_memory
    file.file.close()
