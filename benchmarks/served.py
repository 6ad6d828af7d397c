"""A real stack to measure, and the recordings that it is asked about."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.stack import ROOT, Process, Stack, answers, wait_for

BUNDLED = ROOT / "models" / "tiny-clap"


@contextmanager
def served(model: Path, *, has_worker: bool = False, **settings: object) -> Iterator[Stack]:
    """An API, and a worker if wanted, ready, with as many threads as they would take by themselves."""
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as directory:
        stack = Stack(Path(directory), model, **settings)
        stack.environment.pop("OMP_NUM_THREADS")
        try:
            if has_worker:
                stack.start_worker()
            stack.wait_until_ready(stack.start_api())
            yield stack
        finally:
            stack.stop()


@contextmanager
def started(command: Sequence[object], port: int, ready_path: str, **environment: str) -> Iterator[str]:
    """Another server, ready; its address."""
    popen = subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL
    )
    process = Process(popen, f"http://127.0.0.1:{port}")
    try:
        wait_for(lambda: answers(process.address + ready_path), 180, process)
        yield process.address
    finally:
        process.terminate()


def recordings() -> list[tuple[str, bytes]]:
    """The clips of `examples/train`, five labels of eight, each a label and a file's content."""
    paths = sorted((ROOT / "examples" / "train").glob("*/*.ogg"))
    return [(path.parent.name, path.read_bytes()) for path in paths]
