"""`docs/architecture.md` names files and what is in them: they are there."""

import ast
import re
from pathlib import Path

import pytest

from tests.test_imports import MAY_IMPORT

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HOPS = re.findall(r"`([\w/]+\.py)` `(\w+)`", TEXT)


@pytest.mark.parametrize(("path", "name"), HOPS)
def test_every_hop_is_a_file_and_what_it_defines(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def test_every_file_that_is_named_is_there():
    named = re.findall(r"`([\w/]+\.(?:py|md))`", TEXT)
    assert len(HOPS) > 15
    assert all((ROOT / path).exists() for path in named)


def test_every_room_is_named():
    for room in MAY_IMPORT:
        assert re.search(rf"^{room}\s", TEXT, re.MULTILINE), room
