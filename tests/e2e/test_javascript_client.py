"""The client in JavaScript, in Node, before a real service that has little to give."""

import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from tests.e2e.stack import ROOT

NODE = shutil.which("node")
TIMEOUT_S = 180
EVENT = re.compile(rb"\nid: .*?\r?\n\r?\n", re.DOTALL)  # of a job that has ended many come at once
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NODE is None, reason="no Node: install Node 20 or later")]


def run(address: str, *arguments: str) -> str:
    environment = {**os.environ, "EARSHOT_URL": address}
    result = subprocess.run([NODE, *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def narrow(open_stack):
    """A service that takes eight files at once and few requests a second."""
    stack = open_stack(max_files=8, requests_per_s=4, request_burst=4)
    stack.start_worker()
    stack.wait_until_ready(stack.start_api())
    return stack


def test_the_loop(narrow):
    script = ROOT / "tests" / "e2e" / "javascript_client.mjs"
    assert run(narrow.apis[0].address, str(script), str(ROOT / "examples"), "yard").endswith("all well\n")


class Cut:
    """A proxy on whose first streams of events the line breaks after each event."""

    def __init__(self, target: str, *, num_cuts: int):
        host, _, port = target.removeprefix("http://").partition(":")
        self._target, self.cuts_left, self.asked_after = (host, int(port)), num_cuts, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        request = client.recv(65536)
        is_stream = b"/events HTTP" in request
        if is_stream:
            lines = request.decode("latin-1").split("\r\n")
            self.asked_after += [line.partition(": ")[2] for line in lines if line.lower().startswith("last-event-id")]
        with socket.create_connection(self._target) as server, client:
            server.sendall(
                request.replace(b"keep-alive", b"close").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            while piece := server.recv(65536):
                event = EVENT.search(piece) if is_stream and self.cuts_left else None
                client.sendall(piece if event is None else piece[: event.end()])
                if event is not None:
                    self.cuts_left -= 1
                    return


def test_events_go_on_where_the_line_broke(narrow):
    submit = """
        const job = await new Earshot().teach("cut", { rain: process.argv[1] }, { wait: false });
        console.log(job.id);
    """
    head = f'import {{ Earshot }} from "{(ROOT / "client" / "js" / "earshot.js").as_uri()}";'
    module = ["--input-type=module", "-e"]
    job = run(narrow.apis[0].address, *module, head + submit, str(ROOT / "examples" / "train" / "rain")).strip()
    proxy = Cut(narrow.apis[0].address, num_cuts=2)
    follow = (
        head
        + """
        const ids = [];
        let last;
        for await (const { id, job } of new Earshot().events(process.argv[1])) ids.push(id), (last = job.state);
        console.log(last, new Set(ids).size === ids.length);
    """
    )
    assert run(proxy.address, *module, follow, job) == "succeeded true\n"
    assert proxy.cuts_left == 0
    assert len(proxy.asked_after) >= 2
