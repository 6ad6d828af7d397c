"""Files, functions and constructors that fit a reader's head; what does not is named here with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "aspl",
    "adapters_store",
    "jobs",
    "worker",
    "service",
    "local",
    "pretrain",
    "benchmarks",
    "deploy",
    "client",
)
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 300, 60, 7
EXCEPTIONS: dict[str, str] = {}  # a path, or a path and a name, and why

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def num_parameters(function: Function) -> int:
    arguments = function.args
    return len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]) - 1  # less self


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes(path):
    text = path.read_text(encoding="utf-8")
    name, tree = str(path.relative_to(ROOT)), ast.parse(text)
    long = [] if len(text.splitlines()) <= MAX_FILE_LINES else [name]
    for function in functions(tree):
        if function.end_lineno - function.lineno >= MAX_FUNCTION_LINES:
            long.append(f"{name} {function.name}")
        if function.name == "__init__" and num_parameters(function) > MAX_PARAMETERS:
            long.append(f"{name} {function.name} at line {function.lineno}")
    assert not set(long) - EXCEPTIONS.keys()


def test_exceptions_are_still_there():
    for entry in EXCEPTIONS:
        assert (ROOT / entry.partition(" ")[0]).exists(), entry
