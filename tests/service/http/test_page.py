"""The page as it is served: its files, who may have them, and what the browser is told to hold it to."""

import re
from pathlib import Path

import pytest

from service.http.page import FOLDER

NAMES = sorted(path.name for path in FOLDER.iterdir())
MAX_PAGE_BYTES = 300 * 1024
MAX_FILE_LINES = 300  # as of everything else here
WHOLE = ("texts.js", "earshot.js")  # every text, and the client: one file each, which is the point of them
ADDRESS = re.compile(r"""["'(`](?:https?:)?//""")
IMPORT = re.compile(r"""(?:from|import\()\s*["']\./([^"']+)["']""")
COMMENT = re.compile(r"(?m)^\s*(?:/?\*|//).*$")
OWN_NAMES = re.compile(r"http://127.0.0.1:8000|http://www.w3.org/2000/svg")  # a default, and a namespace


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_served_to_everybody(client, context, name):
    context.keys.add("acme")
    answer = client.get(f"/web/{name}")
    assert answer.status_code == 200
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_policy_lets_nothing_inline_run_and_nothing_come_from_elsewhere(client):
    for path in ("/", "/web/app.js"):
        policy = client.get(path).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "*" not in policy and "http" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", client.get("/").text)


def test_a_file_is_sent_again_only_when_it_has_changed(client):
    first = client.get("/web/app.js")
    again = client.get("/web/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpage.py", "%2Fetc%2Fpasswd", ".", "..%2F..%2Fservice%2Fkeys.py"])
def test_no_other_file_is_served(client, name):
    assert client.get(f"/web/{name}").status_code == 404


def test_only_reading_is_allowed(client):
    answer = client.post("/web/app.js")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_it_is_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MAX_PAGE_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_fetched_from_elsewhere(name):
    text = OWN_NAMES.sub("", COMMENT.sub("", read(name)))
    for found in IMPORT.findall(text):
        assert (FOLDER / found).exists(), found
    assert not ADDRESS.search(text)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith((".js", ".css")) and name not in WHOLE])
def test_files_fit_a_reader(name):
    assert len(read(name).splitlines()) <= MAX_FILE_LINES


def test_the_client_is_the_one_that_is_published():
    published = Path(FOLDER).parents[1] / "client" / "js" / "earshot.js"
    assert (FOLDER / "earshot.js").read_bytes() == published.read_bytes()
