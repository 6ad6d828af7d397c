"""What one worker carries: `python -m benchmarks.jobs`, on a quiet machine.

A real stack, an API and one worker. Each kind of job is sent several times at once, as tenants do: the clips of
`examples/train` (five labels, eight clips each) over HTTP. The first job of all warms the worker up and is left out.
"""

import argparse
import io
import json
import statistics
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import httpx2

from benchmarks.machine import describe_machine
from tests.e2e.stack import ROOT, Stack

RESULT = Path(__file__).parent / "results" / "jobs.json"
CLIPS = ROOT / "examples" / "train"
KINDS: dict[str, dict[str, str]] = {"default settings": {}, "audio_prompt=none": {"audio_prompt": "none"}}
TIMEOUT_S = 600


@dataclass(frozen=True)
class Figure:
    """What jobs of one kind took."""

    kind: str
    num_jobs: int
    job_s: float
    """Median from the start of a job to its end."""
    jobs_an_hour: float
    """From the start of the first job to the end of the last, with what lies between two jobs."""


def archive() -> bytes:
    """The clips as `POST /adapt` takes them, one folder a label."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(CLIPS.glob("*/*.ogg")):
            tar.add(path, arcname=str(path.relative_to(CLIPS)))
    return buffer.getvalue()


def run(client: httpx2.Client, clips: bytes, kind: str, num_jobs: int) -> Figure:
    """Send `num_jobs` of one kind and wait for the last."""
    ids = []
    for number in range(num_jobs):
        fields = {"name": f"adapter-{number}", **KINDS[kind]}
        answer = client.post("/adapt", data=fields, files={"archive": ("clips.tar", clips, "application/x-tar")})
        ids.append(answer.raise_for_status().json()["id"])
    jobs = [wait_for(client, job_id) for job_id in ids]
    spans = [(instant(job["started_at"]), instant(job["ended_at"])) for job in jobs]
    elapsed_s = max(end for _, end in spans) - min(start for start, _ in spans)
    return Figure(kind, num_jobs, statistics.median(end - start for start, end in spans), 3600 * num_jobs / elapsed_s)


def wait_for(client: httpx2.Client, job_id: str) -> dict:
    """The job when it has succeeded."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        job = client.get(f"/jobs/{job_id}").raise_for_status().json()
        if job["state"] == "succeeded":
            return job
        if job["state"] not in ("queued", "running") or time.monotonic() > deadline:
            raise RuntimeError(f"the job did not succeed: {job}")
        time.sleep(0.5)


def instant(text: str) -> float:
    """Seconds since the epoch of a time in ISO 8601."""
    return datetime.fromisoformat(text).timestamp()


def measure(model: Path, num_jobs: int) -> list[Figure]:
    """All kinds, one after the other, by one worker."""
    clips = archive()
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as directory:
        stack = Stack(Path(directory), model)
        stack.environment.pop("OMP_NUM_THREADS")
        try:
            api = stack.start_api()
            stack.start_worker()
            stack.wait_until_ready(api)
            with httpx2.Client(base_url=api.address, timeout=60) as client:
                run(client, clips, "audio_prompt=none", 1)
                return [run(client, clips, kind, num_jobs) for kind in KINDS]
        finally:
            stack.stop()


def report(figures: Sequence[Figure], model: str) -> None:
    """Print the table and keep the figures."""
    for figure in figures:
        rate = f"{figure.jobs_an_hour:.0f} jobs an hour"
        print(f"{figure.kind:<20} {figure.job_s:6.1f} s a job (median of {figure.num_jobs}), {rate} by one worker")
    result = {
        "model": model,
        "machine": describe_machine(),
        "clips": len(list(CLIPS.glob("*/*.ogg"))),
        "figures": [asdict(figure) for figure in figures],
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny-clap")
    parser.add_argument("--jobs", type=int, default=3, help="how many of each kind")
    arguments = parser.parse_args()
    report(measure(arguments.model, arguments.jobs), arguments.model.name)


if __name__ == "__main__":
    main()
