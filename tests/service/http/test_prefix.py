"""Behind a path prefix every link that the service hands out leads back to it."""

import json
import re
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings
from tests.service.http.test_docs import REFERENCE
from tests.service.sounds import tone

CLIPS = [("clips", ("a.wav", tone(440))), ("clips", ("b.wav", tone(900)))]
TRAINING = {"name": "animals", "labels": ["dog", "cat"]}
PREFIX = "/tools/earshot"


class Proxy:
    """A reverse proxy that shows the service under `PREFIX` and nothing else, as nginx does."""

    def __init__(self, target: str, *, strips: bool, header: str | None):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                proxy.forward(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one

            def log_message(self, *_):
                pass

        self._target, self._strips, self._header = target, strips, header
        self.client = httpx2.Client()  # of the proxy and of whoever asks it
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        self.address = f"{self.root}{PREFIX}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if not (handler.path + "/").startswith(PREFIX + "/"):
            handler.send_error(502, "another service's")
            return
        path = handler.path.removeprefix(PREFIX) or "/" if self._strips else handler.path
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        if self._header:
            headers["X-Forwarded-Prefix"] = self._header
        answer = self.client.request(handler.command, self._target + path, content=body, headers=headers)
        handler.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("transfer-encoding", "date", "server", "content-length"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.content)))
        handler.end_headers()
        handler.wfile.write(answer.content)


# What the service is told, and what its proxy does.
SETUPS = {
    "setting, stripped": ({"root_path": PREFIX}, {"strips": True, "header": None}),
    "setting, left": ({"root_path": PREFIX}, {"strips": False, "header": None}),
    "header, stripped": ({"trust_proxy": True}, {"strips": True, "header": PREFIX}),
    "header, left": ({"trust_proxy": True}, {"strips": False, "header": PREFIX + "/"}),
    "both": ({"trust_proxy": True, "root_path": "/other"}, {"strips": True, "header": f"{PREFIX}, /inner"}),
}


@pytest.fixture(params=SETUPS)
def setup(request):
    return SETUPS[request.param]


@pytest.fixture
def settings(settings, setup):
    return settings.model_copy(update=setup[0])


@pytest.fixture
def proxy(address, setup):
    proxy = Proxy(address, **setup[1])
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()
    proxy.client.close()


def test_every_link_leads_back_through_the_proxy(proxy, publish):
    publish("old", ["dog", "cat"])
    answer = proxy.client.post(f"{proxy.address}/adapt", files=CLIPS, data=TRAINING)
    assert proxy.client.get(f"{proxy.root}{answer.headers['location']}").json() == answer.json()
    file = proxy.client.get(f"{proxy.address}/adapters/old/file").content
    answer = proxy.client.post(f"{proxy.address}/adapters/new/file", content=file)
    assert proxy.client.get(f"{proxy.root}{answer.headers['location']}").json()["name"] == "new"

    hint = proxy.client.post(f"{proxy.address}/classify", json={}).json()["detail"]
    assert f"{PREFIX}/classify -F " in hint

    for path in ("", "/", "/docs"):
        text = proxy.client.get(f"{proxy.address}{path}").text
        references = REFERENCE.findall(text)
        assert len(references) > 3
        for reference in references:
            url = httpx2.URL(f"{proxy.address}{path}").join(reference)
            assert proxy.client.get(url).status_code == 200, (path, reference)

    (server,) = proxy.client.get(f"{proxy.address}/openapi.json").json()["servers"]
    url = httpx2.URL(f"{proxy.address}/openapi.json").join(server["url"])
    assert proxy.client.get(f"{url}/healthz").status_code == 200


def test_the_gate_knows_its_paths_behind_a_prefix(proxy, context):
    key = {"X-API-Key": context.keys.add("acme")}
    for path, status in (("/healthz", 200), ("/info", 200), ("/", 200), ("/jobs", 401)):
        assert proxy.client.get(f"{proxy.address}{path}").status_code == status
    clip = tone(440, duration_s=2.0)  # more than a body of JSON may be
    form = {"files": [("audio", clip)], "data": {"labels": ["dog", "cat"]}, "headers": key}
    assert proxy.client.post(f"{proxy.address}/classify", **form).status_code == 200
    assert proxy.client.post(f"{proxy.address}/classify/", **form).status_code == 404


@pytest.mark.parametrize("setup", [({}, {})])
def test_without_trust_nobody_sets_a_prefix(address):
    headers = {"X-Forwarded-Prefix": "/evil"}
    answer = httpx2.post(f"{address}/adapt", files=CLIPS, data=TRAINING, headers=headers)
    assert answer.headers["location"].startswith("/jobs/")
    assert "evil" not in httpx2.get(f"{address}/openapi.json", headers=headers).text


@pytest.mark.parametrize("setup", [({"trust_proxy": True}, {})])
@pytest.mark.parametrize(
    "prefix",
    [
        "//evil.example",
        "/a/../b",
        "/a b",
        "https://evil.example",
        "/<script>",
        "a",
        "/" + "a" * 300,
        "/a//b",
        "/.",
        "/%2e",
    ],
)
def test_a_prefix_that_is_no_path_is_not_believed(address, prefix):
    headers = {"X-Forwarded-Prefix": prefix}
    assert httpx2.get(f"{address}/openapi.json", headers=headers).json().get("servers") is None
    assert 'href="docs"' in httpx2.get(f"{address}/", headers=headers).text


@pytest.mark.parametrize("setup", [({"root_path": "/a"}, {})])
def test_a_prefix_by_setting_holds_without_a_proxy_too(address):
    assert json.loads(urllib.request.urlopen(f"{address}/openapi.json").read())["servers"] == [{"url": "/a"}]
    assert re.search(r'href="/a/docs"', httpx2.get(f"{address}/").text)


@pytest.mark.parametrize(("given", "root_path"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/b/", "/a/b")])
def test_root_path_is_read(monkeypatch, given, root_path):
    monkeypatch.setenv("EARSHOT_ROOT_PATH", given)
    assert ServiceSettings().root_path == root_path


@pytest.mark.parametrize("given", ["a", "//a", "/a b", "/../a", "http://a/b", "/a?b"])
def test_what_is_no_root_path_is_named(monkeypatch, given):
    monkeypatch.setenv("EARSHOT_ROOT_PATH", given)
    with pytest.raises(ValidationError, match="no path"):
        ServiceSettings()
