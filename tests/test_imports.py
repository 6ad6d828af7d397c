"""Imports run one way: see the table, which `docs/architecture.md` draws."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "aspl": set(),
    "adapters_store": set(),
    "jobs": {"adapters_store", "aspl"},
    "worker": {"jobs", "adapters_store", "aspl"},
    "service": {"jobs", "adapters_store", "aspl"},
    "client": set(),
    "local": {"service", "worker", "jobs", "adapters_store", "aspl"},
}
OURS = {"earshot_client": "client"}  # a module that is not called as its room
# What the worker's own process imports, which must stay small and free of CUDA.
WITHOUT_TORCH = ["adapters_store", "jobs.settings", "jobs.queue", "jobs.uploads", "jobs.archives", "worker.__main__"]
HTTP = {"fastapi", "starlette", "uvicorn", "service.http"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package):
    for path in (ROOT / package).rglob("*.py"):
        ours = {OURS.get(top := name.split(".")[0], top) for name in imported(path)} & MAY_IMPORT.keys()
        assert ours <= MAY_IMPORT[package] | {package}, path


def test_inference_knows_nothing_of_http():
    for path in (ROOT / "service" / "inference").rglob("*.py"):
        found = imported(path)
        assert not found & HTTP and not {name.split(".")[0] for name in found} & HTTP, path


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_the_worker_imports_brings_no_torch(module):
    probe = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT).returncode == 0
