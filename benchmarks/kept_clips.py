"""What keeping clips costs: `python -m benchmarks.kept_clips [--parts costs loop]`.

Costs: bytes of the clips in `examples/train` and of what is kept beside them; requests of a version to S3 (moto).

Loop: a real API and worker on the bundled model; many short clips are taught at once, then one is added at a time.
"""

import argparse
import io
import statistics
import time
import wave
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import httpx2
import numpy as np
from s3fs import S3FileSystem

from adapters_store import open_store
from benchmarks.figures import Figure, report
from benchmarks.jobs import instant, start_job, wait_for
from benchmarks.machine import describe_machine, family, resident_mib
from benchmarks.served import BUNDLED, recordings, served
from tests.adapters_store.clips import taught
from tests.adapters_store.places import s3_server

PARTS = ("costs", "loop")
NUM_ADDED = 5
RATE_HZ = 16_000
ADD_BAR_S = 1.0


def bytes_of_a_clip() -> list[Figure]:
    """Bytes of a version of the recordings of `examples/train`, a clip."""
    with served(BUNDLED, has_worker=True, requests_per_s=0) as stack:
        with httpx2.Client(base_url=stack.apis[0].address, timeout=600) as client:
            wait_for(client, start_job(client, recordings(), "recorded", {})["id"])
            rows = client.get("/adapters/recorded/clips?limit=2000").raise_for_status().json()["clips"]
        directory = stack.directory / "adapters" / "local" / "recorded"
        files = {path.name: path.stat().st_size for path in directory.rglob("*") if path.is_file()}
    by_suffix = Counter()
    for name, size in files.items():
        by_suffix[Path(name).suffix] += size
    return [
        Figure("bytes of a clip's audio, as it was sent (5 s, Ogg)", by_suffix[".audio"] / len(rows), ""),
        Figure("bytes of what the bundled model hears of a clip", by_suffix[".pack"] / len(rows), ""),
        Figure("bytes of a clip in each version's list", by_suffix[".clips"] / len(rows), ""),
    ]


def costs() -> list[Figure]:
    """What a clip takes on disk, and a version of requests."""
    with s3_server() as url:
        return [*bytes_of_a_clip(), *requests_of_a_version(url)]


def requests_of_a_version(url: str) -> list[Figure]:
    """Requests to S3 of a publication: the first, one that goes on from it with one clip, and a page of adapters."""
    figures = []
    with _counted() as calls:
        store = open_store(url)

        def counted(name: str) -> None:
            detail = ", ".join(f"{count} {call}" for call, count in sorted(calls.items()))
            figures.append(Figure(f"S3 requests, {name} ({detail})", sum(calls.values()), ""))
            calls.clear()

        calls.clear()
        first = store.publish("acme", "birds", b"adapter", {}, taught=taught(*range(40)))
        counted("a first version of 40 clips")
        listed = store.clips(first)
        calls.clear()
        store.publish("acme", "birds", b"adapter", {}, taught=taught(40, base=listed))
        counted("a version with one clip more")
        for number in range(20):
            store.publish("acme", f"a{number}", b"adapter", {})
        calls.clear()
        store.page("acme", limit=50)
        counted("a page of 21 adapters")
        store.usage("acme")
        counted("counting a tenant's usage")
    return figures


@contextmanager
def _counted() -> Iterator[Counter]:
    calls: Counter = Counter()
    call_s3 = S3FileSystem._call_s3

    async def counting(self, method, *arguments, **options):
        calls[method] += 1
        return await call_s3(self, method, *arguments, **options)

    with patch.object(S3FileSystem, "_call_s3", counting):
        yield calls


def short_clip(number: int) -> bytes:
    """Half a second of a tone in noise, other for every number."""
    rng = np.random.default_rng(number)
    times = np.arange(RATE_HZ // 2) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * (300 * (1 + number % 5) + rng.uniform(0, 60)) * times)
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        opened.writeframes(((tone + 0.02 * rng.normal(size=len(times))) * 32767).astype(np.int16).tobytes())
    return file.getvalue()


def loop(num_clips: int) -> list[Figure]:
    """Teach many clips at once, then one more and one more."""
    with served(BUNDLED, has_worker=True, requests_per_s=0) as stack:
        worker = stack.processes[0].popen.pid
        with httpx2.Client(base_url=stack.apis[0].address, timeout=600) as client:
            clips = recordings()
            wait_for(client, start_job(client, clips, "recorded", {})["id"])
            before_mib = max(resident_mib(pid, peak=True) for pid in family(worker))
            many = [(f"label {number % 5}", short_clip(number)) for number in range(num_clips)]
            job = wait_for(client, start_job(client, many, "many", {})["id"])
            figures = [Figure(f"teaching {num_clips} clips at once", _span_s(job), "s")]
            peak_mib = max(resident_mib(pid, peak=True) for pid in family(worker))
            few_s, many_s = ([_add(client, n, name) for n in range(NUM_ADDED)] for name in ("recorded", "many"))
            last_mib = max(resident_mib(pid, peak=True) for pid in family(worker))
        added = f"request to usable version, one clip beside those kept, median of {NUM_ADDED}"
        return [
            *figures,
            Figure(f"{added}: {len(clips)} kept", statistics.median(few_s), "s", ADD_BAR_S),
            Figure(f"{added}: {num_clips} kept", statistics.median(many_s), "s", ADD_BAR_S),
            Figure(f"worker's peak memory, {len(clips)} recordings", before_mib, "MiB"),
            Figure(f"worker's peak memory, {num_clips} clips", peak_mib, "MiB"),
            Figure("the same after clips were added", last_mib, "MiB"),
        ]


def _add(client: httpx2.Client, number: int, name: str) -> float:
    started = time.time()
    job = start_job(client, [("label 1", short_clip(10_000 + number))], name, {"base": name, "promote": "always"})
    return instant(wait_for(client, job["id"])["ended_at"]) - started


def _span_s(job: dict) -> float:
    return instant(job["ended_at"]) - instant(job["started_at"])


def main() -> None:
    """Measure, print, keep: a file of results for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--clips", type=int, default=1000)
    given = parser.parse_args()
    machine = describe_machine()
    measures = {"costs": costs, "loop": lambda: loop(given.clips)}
    for part in given.parts:
        report(measures[part](), f"kept_clips_{part}", machine=machine, **vars(given))


if __name__ == "__main__":
    main()
