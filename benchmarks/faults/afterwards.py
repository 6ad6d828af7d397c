"""What is left when all is over: jobs that ended well, once each, and adapters that are whole."""

import json
import time
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from adapters_store import AdapterStore
from adapters_store.errors import StoreError
from aspl import Adapter
from aspl.errors import AsplError
from benchmarks.faults.caller import Call, Caller
from tests.e2e.stack import Process

JOBS_TIMEOUT_S = 300


def ended_jobs(caller: Caller, job_ids: list[str]) -> tuple[list[str], list[dict]]:
    """The ids of jobs that are lost, or do not end, and the records of the others once they have ended."""
    lost, ended, deadline = [], [], time.monotonic() + JOBS_TIMEOUT_S
    for job_id in job_ids:
        while True:
            status, content = caller(Call("GET", f"/jobs/{job_id}"))
            job = json.loads(content) if status == 200 else {}
            if status == 404 or time.monotonic() > deadline:
                lost.append(f"{job_id} {status} {job.get('state')}")
                break
            if job.get("state") not in (None, "queued", "running"):
                ended.append(job)
                break
            time.sleep(0.2)
    return lost, ended


def at_once(workers: list[Process], struck: list[tuple[str, float]]) -> list[str]:
    """Jobs whose next attempt began although nothing had happened to the one before, as the workers' logs tell.

    Args:
        struck: what was killed or paused, a worker by its pid or "redis", and when.
    """
    attempts: dict[str, list[tuple[float, str]]] = {}
    ends: dict[tuple[str, str], float] = {}
    for worker in workers:
        pid = str(worker.popen.pid)
        for line in worker.lines:
            event = json.loads(line) if line.startswith("{") else {}
            if "job" not in event:
                continue
            at = datetime.fromisoformat(event["timestamp"]).timestamp()
            if event["event"] == "job started":
                attempts.setdefault(event["job"], []).append((at, pid))
            else:
                ends[event["job"], pid] = at
    found = []
    for job, starts in attempts.items():
        for (began_at, pid), (next_at, _) in pairwise(sorted(starts)):
            was_struck = any(who in (pid, "redis") and began_at - 1 <= at <= next_at for who, at in struck)
            if not was_struck and not began_at <= ends.get((job, pid), 0) <= next_at:
                found.append(job)
    return found


def half_adapters(store: AdapterStore, root: Path) -> tuple[list[str], Counter[str]]:
    """Versions that are not whole, and how many versions each job has made."""
    half, of_job = [], Counter()
    for pointer in sorted(root.glob("*/*/current")):
        tenant, name = pointer.parent.parent.name, pointer.parent.name
        if store.current(tenant, name) not in store.versions(tenant, name):
            half.append(f"{tenant}/{name}: its current version is not there")
        for version in store.versions(tenant, name):
            try:
                ref = store.resolve(tenant, f"{name}@{version}")
                Adapter.read_header(store.read(ref))
                if job := store.manifest(ref).get("job"):
                    of_job[job] += 1
            except (StoreError, AsplError) as error:
                half.append(f"{tenant}/{name}@{version}: {error}")
    return half, of_job
