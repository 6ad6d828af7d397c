import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.check.__main__ import IMAGE
from service.version import VERSION

ROOT = Path(__file__).parents[2]


def test_without_an_engine_and_without_buildah_one_line_says_what_to_install():
    result = subprocess.run(
        [sys.executable, "-m", "deploy.check"], cwd=ROOT, env={"PATH": "/nowhere"}, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "apt-get install buildah" in result.stderr


@pytest.mark.parametrize(
    "stated",
    [
        IMAGE,
        f"earshot:{VERSION}-gpu",
    ],
)
def test_the_images_carry_the_release(stated):
    texts = [(ROOT / name).read_text() for name in ("docker-compose.yml", "docker-compose.gpu.yml", ".env.example")]
    assert stated.startswith(f"earshot:{VERSION}")
    assert any(f":-{stated}}}" in text for text in texts[:2])
    assert f"={stated}\n" in texts[2]


def test_the_label_and_the_cluster_carry_the_release():
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text()
    kustomization = yaml.safe_load((ROOT / "deploy/k8s/kustomization.yaml").read_text())
    assert kustomization["images"][0]["newTag"] == VERSION
