"""Imports run one way: aspl and adapters_store know nothing of ours, the service nothing of the worker's job code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"aspl", "adapters_store", "worker", "service"}
MAY_IMPORT = {
    "aspl": {"aspl"},
    "adapters_store": {"adapters_store"},
    "worker": {"worker", "aspl", "adapters_store"},
    "service": OURS,
}
JOB_CODE = {
    f"worker.{name}"
    for name in ("training_job", "training_worker", "trainer", "trainer_process", "method", "publishing")
}


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
        ours = {name.split(".")[0] for name in imported(path)} & OURS
        assert ours <= MAY_IMPORT[package], path


def test_the_service_queues_jobs_by_name_alone():
    for path in (ROOT / "service").rglob("*.py"):
        assert not imported(path) & JOB_CODE, path


def test_the_store_needs_no_torch():
    for path in (ROOT / "adapters_store").rglob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), path
