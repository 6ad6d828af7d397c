"""From a job in the queue to its first training step: `python -m benchmarks.training_start`, on a quiet machine.

A real API, a real worker and the bundled model; 40 clips of five sounds in a job. The first job may find a cold trainer
and is left out. The clock is Redis's: the job's creation, and the event that tells its first epoch.
"""

import argparse
import json
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx2

from benchmarks.machine import describe_machine
from tests.e2e.stack import ROOT, Stack

RESULT = Path(__file__).parent / "results" / "training_start.json"
BAR_S = 2.0
NOT_YET = ("queued", "listen")


def start_job(client: httpx2.Client, clips: list[tuple[str, bytes]]) -> dict:
    """Queue a training by the defaults and return the job."""
    files = [("clips", (f"{number}.ogg", data)) for number, (_, data) in enumerate(clips)]
    answer = client.post("/adapt", files=files, data={"name": "sounds", "labels": [label for label, _ in clips]})
    answer.raise_for_status()
    return answer.json()


def wait_for_first_step_s(client: httpx2.Client, job: dict) -> float:
    """Seconds from the job's creation to the event of its first epoch; the job is then cancelled and waited for."""
    created_at = datetime.fromisoformat(job["created_at"]).timestamp()
    first_s = None
    with client.stream("GET", f"/jobs/{job['id']}/events") as events:
        event_ms = 0
        for line in events.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                event_ms = int(value.partition("-")[0])
            elif name == "data" and first_s is None and json.loads(value)["progress"]["phase"] not in NOT_YET:
                first_s = event_ms / 1e3 - created_at
                client.delete(f"/jobs/{job['id']}")
    if first_s is None:
        raise RuntimeError(f"the job ended before its first step: {client.get('/jobs/' + job['id']).json()}")
    return first_s


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "tiny-clap")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    clips = [(path.parent.name, path.read_bytes()) for path in sorted((ROOT / "examples" / "train").glob("*/*.ogg"))]
    seconds, upload_s = [], []
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as directory:
        stack = Stack(Path(directory), arguments.model, requests_per_s=0)
        stack.environment.pop("OMP_NUM_THREADS")
        try:
            stack.start_worker()
            stack.wait_until_ready(stack.start_api())
            with httpx2.Client(base_url=stack.apis[0].address, timeout=120) as client:
                for _ in range(arguments.rounds + 1):
                    started_at = time.perf_counter()
                    job = start_job(client, clips)
                    upload_s.append(time.perf_counter() - started_at)
                    seconds.append(wait_for_first_step_s(client, job))
        finally:
            stack.stop()
    first_s, *later_s = seconds
    median_s = statistics.median(later_s)
    print(f"upload and check of {len(clips)} clips: {statistics.median(upload_s):.2f} s")
    print(
        f"from the queue to the first step: first job {first_s:.2f} s, later {[round(each, 2) for each in later_s]} s"
    )
    print(f"median {median_s:.2f} s <= {BAR_S:g} s  {'ok' if median_s <= BAR_S else 'MISSED'}")
    result = {"machine": describe_machine(), "num_clips": len(clips), "bar_s": BAR_S, "first_s": first_s}
    RESULT.write_text(json.dumps(result | {"later_s": later_s, "upload_s": upload_s}, indent=1) + "\n")


if __name__ == "__main__":
    main()
