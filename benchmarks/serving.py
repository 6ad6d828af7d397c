"""The service against its own parts: `python -m benchmarks.serving`, on a quiet machine.

An API runs as a process of its own. The same files go through decoding and batched encoding in this process, and over
HTTP from 32 clients, in short turns, so that a ratio compares neighbours in time. The clients share the cores with the
API; the CPU time of each side tells what is whose.
"""

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from adapters_store import open_store
from aspl import Adapter, FrozenClap
from aspl.inference import hear_windows
from aspl.sound.clip import decode, windows
from benchmarks.crowd import NUM_CLIENTS, Client, Request, ask_all
from benchmarks.figures import Figure, report
from benchmarks.machine import cpu_s, describe_machine, resident_mib
from benchmarks.served import BUNDLED, recordings, served, started
from service.inference.engine import measure_batch_windows
from tests.e2e.stack import Process, Stack, free_port

NUM_CLIPS = 256
NUM_SINGLE = 40
NUM_COLD = 30
NUM_STORED = 10_000
LABELS = ["dog bark", "rain", "rooster", "helicopter", "person sneeze"]
TENANT = "local"
WAIT_POLICY = "OMP_WAIT_POLICY"
PASSIVE = {WAIT_POLICY: "PASSIVE"}


@dataclass(frozen=True)
class Pass:
    """The same clips once in-process and once over HTTP."""

    alone_per_s: float
    http_per_s: float
    alone_cpu_ms: float
    """A clip, as the two below."""
    api_cpu_ms: float
    client_cpu_ms: float


def in_process_clips_per_s(clap: FrozenClap, clips: Sequence[bytes], batch_windows: int, num_threads: int) -> float:
    """Decode in threads and encode in batches as the clips come."""
    started_at = time.perf_counter()
    with ThreadPoolExecutor(num_threads) as threads:
        decoded = threads.map(lambda clip: windows(decode(clip).waveform)[0], clips)
        batch: list[torch.Tensor] = []
        for number, cut in enumerate(decoded, 1):
            batch.append(torch.as_tensor(cut))
            if len(batch) == batch_windows or number == len(clips):
                hear_windows(clap, torch.cat(batch), [None] * sum(len(part) for part in batch))
                batch.clear()
    return len(clips) / (time.perf_counter() - started_at)


def measure_pass(
    api: Process, clap: FrozenClap, clips: Sequence[bytes], questions: Sequence[Request], *, batch_windows: int
) -> Pass:
    """Decode and encode in this process, then ask the API."""
    alone_cpu_s = time.process_time()
    alone = in_process_clips_per_s(clap, clips, batch_windows, num_threads=2)
    alone_cpu_s, api_cpu_s = time.process_time() - alone_cpu_s, cpu_s(api.popen.pid)
    over_http = ask_all(api.address, questions)
    api_cpu_s = cpu_s(api.popen.pid) - api_cpu_s
    print(f"  in-process {alone:.1f} clips/s, over HTTP {over_http.requests_per_s:.1f} clips/s")
    per_clip_ms = 1e3 / len(clips)
    return Pass(
        alone, over_http.requests_per_s, alone_cpu_s * per_clip_ms, api_cpu_s * per_clip_ms, over_http.client_cpu_ms
    )


def question(adapter: str, clip: bytes) -> Request:
    """What one client asks."""
    return Request.multipart("/classify", "audio", clip, adapter=adapter)


def latencies(address: str, adapters: Sequence[str], clip: bytes) -> tuple[float, float]:
    """p50 in ms of one client's requests, one an adapter: of the whole, and above decoding and encoding."""
    client = Client(address)
    answers = [client.ask_json(question(adapter, clip)) for adapter in adapters]
    above = [ms - answer["timing_ms"]["decode"] - answer["timing_ms"]["encode"] for ms, answer in answers]
    return statistics.median(ms for ms, _ in answers), statistics.median(above)


def fill_store(store_dir: Path, count: int) -> None:
    """Copy one adapter under `count` names."""
    source = store_dir / TENANT / "adapter-0"
    for number in range(count):
        shutil.copytree(source, store_dir / TENANT / f"stored-{number}")


def above_in_turns(addresses: Sequence[str], adapter: str, clip: bytes) -> list[float]:
    """p50 in ms of one client's requests above decoding and encoding, of servers that take turns."""
    rounds = [[latencies(address, [adapter] * NUM_SINGLE, clip)[1] for address in addresses] for _ in range(4)]
    return [statistics.median(each) for each in zip(*rounds[1:], strict=True)]  # the first one warms up


def measure(stack: Stack, bare_address: str, clap: FrozenClap, clips: Sequence[bytes], num_rounds: int) -> list[Figure]:
    """All figures, from one run."""
    address, store = stack.apis[0].address, open_store(stack.directory / "adapters")
    data = Adapter.zero_shot(clap, LABELS).to_bytes()
    names = [f"adapter-{number}" for number in range(NUM_CLIENTS + NUM_COLD)]
    for name in names:
        store.publish(TENANT, name, data, Adapter.read_header(data))
    batch_windows = measure_batch_windows(clap, (1, 2, 4, 8))
    clips = [clips[number % len(clips)] for number in range(NUM_CLIPS)]
    questions = [question(names[number % NUM_CLIENTS], clip) for number, clip in enumerate(clips)]
    passes = [
        measure_pass(stack.apis[0], clap, clips, questions, batch_windows=batch_windows) for _ in range(num_rounds + 1)
    ][1:]  # the first one warms up
    above_ms, bare_ms = above_in_turns((address, bare_address), names[0], clips[0])
    cold, warm = names[NUM_CLIENTS : NUM_CLIENTS + NUM_COLD], names[:1] * NUM_COLD
    cold_ms, cached_ms = latencies(address, cold, clips[0])[1], latencies(address, warm, clips[0])[1]
    fill_store(stack.directory / "adapters", NUM_STORED)
    many_cold = [f"stored-{number * 100}" for number in range(NUM_COLD)]
    many_cold_ms, many_cached_ms = latencies(address, many_cold, clips[0])[1], latencies(address, warm, clips[0])[1]
    ratio = statistics.median(each.http_per_s / each.alone_per_s for each in passes)
    return [
        Figure("HTTP throughput, 32 clients, against in-process", ratio, "x", 0.9, is_at_most=False),
        Figure("latency above decode + encode, 1 client, p50", above_ms, "ms", 3),
        Figure("the same of a bare FastAPI handler", bare_ms, "ms"),
        Figure("adapter not in memory against one that is, p50", cold_ms - cached_ms, "ms", 10),
        Figure("the same with 10,000 adapters in the store", many_cold_ms - many_cached_ms, "ms", 10),
        Figure("cached adapter, 10,000 in the store against few", many_cached_ms - cached_ms, "ms", 1),
        Figure("HTTP throughput, 32 clients", statistics.median(each.http_per_s for each in passes), "clips/s"),
        Figure("decoding and encoding in-process", statistics.median(each.alone_per_s for each in passes), "clips/s"),
        Figure("CPU time of the API", statistics.median(each.api_cpu_ms for each in passes), "ms a clip"),
        Figure("CPU time in-process", statistics.median(each.alone_cpu_ms for each in passes), "ms a clip"),
        Figure("CPU time of a client", statistics.median(each.client_cpu_ms for each in passes), "ms a clip"),
        Figure("resident memory of the API", resident_mib(stack.apis[0].popen.pid), "MiB"),
    ]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if WAIT_POLICY not in os.environ:  # the API's own, for both sides; OpenMP reads it as torch is loaded
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.serving", *sys.argv[1:]], os.environ | PASSIVE)
    machine = describe_machine()
    clips = [content for _, content in recordings()]
    clap = FrozenClap.load(arguments.model)
    settings = {"requests_per_s": 1e6, "request_burst": 10**6, "batch_windows": 0}  # rates are counted, never reached
    bare = [sys.executable, "-m", "benchmarks.bare_handler", port := free_port(), arguments.model]
    with served(arguments.model, **settings) as stack, started(bare, port, "/openapi.json") as bare_address:
        figures = measure(stack, bare_address, clap, clips, arguments.rounds)
    report(figures, "serving", machine=machine, model=arguments.model.name, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
