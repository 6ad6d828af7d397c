"""The wheel: built, installed into environments that have nothing of ours, and used there by every Python at hand."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from earshot_client.version import VERSION

TESTS = Path(__file__).parent
ROOT = TESTS.parents[1]
SOURCE = ROOT / "client"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
TIMEOUT_S = 900
pytestmark = pytest.mark.slow


def run(*command, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, **options
    )


def python_of(version):
    """A Python of that release that runs and makes environments, on PATH or among pyenv's; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in (shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))):
        if found and run(found, "-c", "import ensurepip, venv").returncode == 0:
            return found
    return None


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing is left in the source."""
    source = tmp_path_factory.mktemp("source") / "client"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "js"))
    folder = tmp_path_factory.mktemp("wheel")
    # setuptools is among what the tests are installed with; nothing is fetched for this.
    built = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    assert built.returncode == 0, built.stderr
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="session", params=PYTHONS)
def environment(request, wheel, tmp_path_factory):
    """A fresh environment's Python, with the wheel, what it asks for, and pytest."""
    python = python_of(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} here")
    folder = tmp_path_factory.mktemp(f"python{request.param}")
    assert run(python, "-m", "venv", folder).returncode == 0
    installed = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = installed, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"
    fetched = run(*pip, "httpx>=0.27,<1", "rich>=13", "typer>=0.15", "numpy>=1.24", "pytest")
    if fetched.returncode != 0:
        pytest.skip(f"its dependencies cannot be installed here: {fetched.stderr.strip().splitlines()[-1]}")
    taken = run(*pip, "--no-index", "--no-deps", wheel)
    assert taken.returncode == 0, taken.stderr
    checked = run(installed, "-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout
    return installed


def test_what_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
        (licence,) = [archive.read(name) for name in names if name.endswith("licenses/LICENSE")]
    assert wheel.name == f"earshot_client-{VERSION}-py3-none-any.whl"
    assert {name.split("/")[0] for name in names} == {"earshot_client", f"earshot_client-{VERSION}.dist-info"}
    assert "earshot_client/py.typed" in names and "earshot_client/command/app.py" in names
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert needed == ["Requires-Dist: httpx<1,>=0.27"]
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_it_is_of_the_service_s_release():
    from service.version import VERSION as OURS

    assert VERSION == OURS


def test_its_own_tests_pass_where_it_is_installed(environment, tmp_path):
    copy = tmp_path / "tests" / "client"
    shutil.copytree(TESTS, copy, ignore=shutil.ignore_patterns("service", "test_wheel.py", "__pycache__"))
    (tmp_path / "tests" / "__init__.py").touch()
    ran = run(environment, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout


def test_its_command_runs_where_it_is_installed(environment):
    ran = run(environment.parent / "earshot", "--version")
    assert (ran.returncode, ran.stdout.strip()) == (0, VERSION)
    listed = run(environment, "-m", "pip", "list", "--format", "freeze").stdout
    assert "torch" not in listed and "earshot-client" in listed
