"""How much a new user types, out of the README's own text."""

import pytest

from benchmarks.first_steps import WAYS, code, count_lines


@pytest.mark.parametrize(("way", "most"), list(zip(WAYS, (2, 6, 6, 8), strict=True)), ids=[way.name for way in WAYS])
def test_lines(way, most):
    text = code(way)
    assert "teach" in text or "/adapt" in text
    assert 1 < count_lines(text) <= most
