"""The recordings in examples/."""

from tests.e2e.stack import ROOT

EXAMPLES = ROOT / "examples"


def clips(label: str, *, part: str = "train") -> list[tuple[str, bytes]]:
    """Name and bytes of each recording of a label."""
    return [(path.name, path.read_bytes()) for path in sorted((EXAMPLES / part / label).iterdir())]
