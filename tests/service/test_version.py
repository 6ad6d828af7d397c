"""One release, named in one place; what cannot read it there says the same."""

import re
import tomllib
from pathlib import Path

import pytest

from service.version import VERSION

ROOT = Path(__file__).parents[2]
# Files that are read before, or without, any Python of ours.
COPIES = {
    "Dockerfile": r"^ARG VERSION=(\S+)$",
    "docker-compose.yml": r"earshot:(\d[\w.]*)",
    "docker-compose.gpu.yml": r"earshot:(\d[\w.]*)-gpu",
    ".env.example": r"earshot:(\d[\w.]*?)(?:-gpu)?$",
    "deploy/check/__main__.py": r"earshot:(\d[\w.]*)",
    "deploy/k8s/kustomization.yaml": r"newTag: (\S+)",
    "docs/scaling.md": r"earshot:(\d[\w.]*)",
}


def test_info_the_document_and_its_page_name_the_release(client):
    assert client.get("/info").json()["version"] == VERSION
    assert client.get("/openapi.json").json()["info"]["version"] == VERSION


def test_the_package_is_of_that_release():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "service.version.VERSION"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


@pytest.mark.parametrize("path", COPIES)
def test_what_repeats_the_release_repeats_it_right(path):
    found = re.findall(COPIES[path], (ROOT / path).read_text(), re.M)
    assert set(found) == {VERSION}, path
