"""What one worker carries, and how soon it begins: `python -m benchmarks.jobs`, on a quiet machine.

A real API, a real worker, and the clips of `examples/train` over HTTP (five labels, eight clips each). Each kind of job
is sent several times at once, as tenants do; then jobs one by one, to see how long each waits for its first training
step. The clock is Redis's: a job's creation, its start and end, and the event that tells its first epoch. The first job
of all warms the worker up and is left out. Memory is what the keys of a job take in Redis when it has ended, and
the most that one process of the worker ever had in RAM.
"""

import argparse
import json
import statistics
import time
from datetime import datetime
from pathlib import Path

import httpx2
from redis import Redis

from benchmarks.figures import Figure, report
from benchmarks.machine import describe_machine, family, resident_mib
from benchmarks.served import BUNDLED, recordings, served
from jobs.connection import connect

KINDS: dict[str, dict[str, str]] = {
    "default settings": {},
    "method=palm": {"method": "palm"},
    "method=palm audio_prompt=aspl_star": {"method": "palm", "audio_prompt": "aspl_star"},
}
UPLOAD_BAR_S = 1.5
FIRST_STEP_BAR_S = 2.0
BEFORE_THE_FIRST_STEP = ("queued", "listen")
TIMEOUT_S = 600


def start_job(client: httpx2.Client, clips: list[tuple[str, bytes]], name: str, settings: dict[str, str]) -> dict:
    """Queue a job and return it."""
    files = [("clips", (f"{number}.ogg", data)) for number, (_, data) in enumerate(clips)]
    data = {"name": name, "labels": [label for label, _ in clips], **settings}
    return client.post("/adapt", files=files, data=data).raise_for_status().json()


def measure_kind(client: httpx2.Client, clips: list[tuple[str, bytes]], kind: str, num_jobs: int) -> list[Figure]:
    """Send `num_jobs` of one kind at once and wait for the last."""
    started = [start_job(client, clips, f"adapter-{number}", KINDS[kind]) for number in range(num_jobs)]
    jobs = [wait_for(client, job["id"]) for job in started]
    spans = [(instant(job["started_at"]), instant(job["ended_at"])) for job in jobs]
    elapsed_s = max(end for _, end in spans) - min(start for start, _ in spans)
    return [
        Figure(f"one job, {kind}, median of {num_jobs}", statistics.median(end - start for start, end in spans), "s"),
        Figure(f"jobs an hour by one worker, {kind}", 3600 * num_jobs / elapsed_s, ""),
    ]


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


def upload_to_adapter_s(client: httpx2.Client, clips: list[tuple[str, bytes]]) -> float:
    """Seconds from before a default job's upload to its end, when its adapter can be used."""
    before_s = time.time()
    job = start_job(client, clips, "upload", {})
    return instant(wait_for(client, job["id"])["ended_at"]) - before_s


def first_step_s(client: httpx2.Client, clips: list[tuple[str, bytes]]) -> float:
    """Seconds from a job's creation to the event of its first epoch; the job is then cancelled and waited for."""
    job = start_job(client, clips, "first-step", KINDS["method=palm"])
    seconds = None
    with client.stream("GET", f"/jobs/{job['id']}/events") as events:
        event_ms = 0
        for line in events.iter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                event_ms = int(value.partition("-")[0])
            elif field == "data" and seconds is None and _has_begun(json.loads(value)):
                seconds = event_ms / 1e3 - instant(job["created_at"])
                client.delete(f"/jobs/{job['id']}")
    if seconds is None:
        raise RuntimeError(f"the job ended before its first step: {client.get('/jobs/' + job['id']).json()}")
    return seconds


def redis_kib(redis: Redis) -> float:
    """The memory of all keys."""
    return sum(redis.memory_usage(key, samples=0) or 0 for key in redis.scan_iter()) / 1024


def _has_begun(job: dict) -> bool:
    return job["progress"]["phase"] not in BEFORE_THE_FIRST_STEP


def instant(text: str) -> float:
    """Seconds since the epoch of a time in ISO 8601."""
    return datetime.fromisoformat(text).timestamp()


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--jobs", type=int, default=3, help="how many of each kind")
    parser.add_argument("--first-steps", type=int, default=5, help="how many jobs to see begin")
    arguments = parser.parse_args()
    machine, clips = describe_machine(), recordings()
    with (
        served(arguments.model, has_worker=True, requests_per_s=0) as stack,
        httpx2.Client(base_url=stack.apis[0].address, timeout=120) as client,
    ):
        measure_kind(client, clips, "default settings", 1)
        redis = connect(stack.redis_url)
        before_kib = redis_kib(redis)
        figures = [figure for kind in KINDS for figure in measure_kind(client, clips, kind, arguments.jobs)]
        job_kib = (redis_kib(redis) - before_kib) / (len(KINDS) * arguments.jobs)
        upload = statistics.median(upload_to_adapter_s(client, clips) for _ in range(arguments.first_steps))
        first = statistics.median(first_step_s(client, clips) for _ in range(arguments.first_steps))
        worker = stack.processes[0].popen.pid
        worker_mib = max(resident_mib(pid, peak=True) for pid in family(worker))
    name = f"from before the upload to a usable adapter, default settings, median of {arguments.first_steps}"
    figures.append(Figure(name, upload, "s", UPLOAD_BAR_S))
    name = f"from the queue to the first training step, median of {arguments.first_steps}"
    figures.append(Figure(name, first, "s", FIRST_STEP_BAR_S))
    figures.append(Figure("memory of a job in Redis", job_kib, "KiB"))
    figures.append(Figure("memory of the worker's largest process, at its peak", worker_mib, "MiB"))
    report(figures, "jobs", machine=machine, model=arguments.model.name, clips=len(clips))


if __name__ == "__main__":
    main()
