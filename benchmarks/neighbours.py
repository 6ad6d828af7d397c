"""What one tenant at full tilt does to another: `python -m benchmarks.neighbours`, on a quiet machine.

A busy tenant calls from several connections in one of the ways below, as fast as it is let; a quiet one classifies an
ordinary clip at a time. The quiet one's p99 stands against its p99 while the busy one sends ordinary clips from as many
connections. The ways take turns, in short rounds. The busy tenant's clients leave when they have waited for long.
"""

import argparse
import io
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import numpy as np
import soundfile

from adapters_store import open_store
from aspl import Adapter, FrozenClap
from aspl.heads.cocoop import CoCoOpHead
from aspl.methods import METHODS
from benchmarks.figures import Figure, report
from benchmarks.machine import describe_machine
from benchmarks.served import BUNDLED, recordings, served
from service.keys import KeyFile
from tests.e2e.stack import Stack

NUM_BUSY = 16
ROUND_S = 6.0
NUM_ROUNDS = 3
MAX_RATIO = 2.0
ORDINARY = "ordinary clips"
RATE_HZ = 48_000
PATIENCE_S = 10.0
LEFT = "left"  # in place of a status


@dataclass(frozen=True)
class Call:
    """One call of the busy tenant; `number` of it makes its zero-shot labels new each time."""

    path: str
    files: Callable[[], list[tuple[str, tuple[str, bytes]]]]
    data: Callable[[int], dict[str, str]]


def flac(duration_s: float) -> bytes:
    """Silence, which takes few bytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(duration_s * RATE_HZ), np.float32), RATE_HZ, format="FLAC")
    return file.getvalue()


def ways(clip: bytes) -> dict[str, Call]:
    """Each way of the busy tenant, by name; the first is the ordinary one."""
    long, too_long = flac(590), flac(700)
    noise = np.random.default_rng(0).bytes(2**20)

    def audio(*contents: bytes) -> Callable[[], list[tuple[str, tuple[str, bytes]]]]:
        return lambda: [("audio", (f"{number}.flac", content)) for number, content in enumerate(contents)]

    def labels(number: int) -> dict[str, str]:
        return {"labels": json.dumps([f"label {number} {label}" for label in range(1000)])}

    def taught(_: int) -> dict[str, str]:
        return {"adapter": "cocoop", "windows": "true"}

    def upload(number: int) -> dict[str, str]:
        return {"name": f"busy-{number % 3}", "labels": json.dumps(["a", "b"] * 30)}

    def clips(content: bytes) -> Callable[[], list[tuple[str, tuple[str, bytes]]]]:
        return lambda: [("clips", (f"{number}.flac", content)) for number in range(60)]

    return {
        ORDINARY: Call("/classify", audio(clip), lambda _: {"adapter": "plain"}),
        "long clips": Call("/classify", audio(long), lambda _: {"adapter": "plain"}),
        "clips that are refused": Call("/classify", audio(*[too_long] * 60), lambda _: {"adapter": "plain"}),
        "CoCoOp, each window of long clips": Call("/classify", audio(long), taught),
        "zero-shot on 1,000 new labels": Call("/classify", audio(clip), labels),
        "uploads of long clips": Call("/adapt", clips(long), upload),
        "uploads of 60 MiB of noise": Call("/adapt", clips(noise), upload),
    }


class Busy:
    """The busy tenant: connections that call one after the other until they are told to end."""

    def __init__(self, address: str, key: str, call: Call):
        self._has_ended = threading.Event()
        self.statuses: Counter[int | str] = Counter()
        self._threads = [
            threading.Thread(target=self._go_on, args=(address, key, call, number)) for number in range(NUM_BUSY)
        ]

    def __enter__(self) -> "Busy":
        for thread in self._threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, address: str, key: str, call: Call, number: int) -> None:
        with httpx2.Client(headers={"X-API-Key": key}, timeout=PATIENCE_S) as client:
            while not self._has_ended.is_set():
                number += NUM_BUSY
                status: int | str
                try:
                    status = client.post(address + call.path, files=call.files(), data=call.data(number)).status_code
                except httpx2.TimeoutException:
                    status = LEFT
                self.statuses[status] += 1
                if status == 429:
                    time.sleep(0.1)


def latencies_ms(address: str, key: str, clip: bytes, seconds: float) -> list[float]:
    """The quiet tenant's calls, one after the other, as one after whom others wait."""
    taken = []
    with httpx2.Client(headers={"X-API-Key": key}, timeout=120) as client:
        end = time.perf_counter() + seconds
        while (started_at := time.perf_counter()) < end:
            answer = client.post(f"{address}/classify", files=[("audio", ("a.ogg", clip))], data={"adapter": "plain"})
            if answer.status_code != 200:
                raise RuntimeError(f"the quiet tenant got {answer.status_code}: {answer.text[:300]}")
            taken.append((time.perf_counter() - started_at) * 1e3)
    return taken


def p99(taken: Sequence[float]) -> float:
    """The 99th percentile."""
    return float(np.percentile(taken, 99))


def prepare(stack: Stack, clap: FrozenClap) -> dict[str, str]:
    """Keys for both tenants, and an adapter of each kind."""
    store, keys = open_store(stack.directory / "adapters"), KeyFile(stack.directory / "keys.json")
    plain = Adapter.zero_shot(clap, ["dog bark", "rain", "rooster", "helicopter", "person sneeze"])
    labels = [f"sound {number}" for number in range(50)]
    prompt = METHODS["cocoop"].untrained(clap, labels)
    cocoop = replace(Adapter.zero_shot(clap, labels), head=CoCoOpHead.of(prompt), method="cocoop")
    for tenant in ("busy", "quiet"):
        for name, adapter in (("plain", plain), ("cocoop", cocoop)):
            data = adapter.to_bytes()
            store.publish(tenant, name, data, Adapter.read_header(data))
    return {tenant: keys.add(tenant) for tenant in ("busy", "quiet")}


def measure(stack: Stack, clap: FrozenClap, clip: bytes, *, rounds: int, round_s: float) -> list[Figure]:
    """The quiet tenant's p99 in each way, against that beside ordinary clips."""
    address, keys = stack.apis[0].address, prepare(stack, clap)
    latencies_ms(address, keys["quiet"], clip, 1.0)
    alone = p99(latencies_ms(address, keys["quiet"], clip, round_s))
    calls = ways(clip)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            with Busy(address, keys["busy"], call) as busy:
                taken[name].append(p99(latencies_ms(address, keys["quiet"], clip, round_s)))
            print(f"  {name}: p99 {taken[name][-1]:.0f} ms; the busy tenant got {dict(busy.statuses)}", flush=True)
    beside = statistics.median(taken[ORDINARY])
    figures = [Figure("p99 alone", alone, "ms"), Figure(f"p99 beside {ORDINARY}", beside, "ms")]
    for name in list(calls)[1:]:
        ratio = statistics.median(taken[name]) / beside
        figures.append(Figure(f"p99 beside {name}, against beside {ORDINARY}", ratio, "x", MAX_RATIO))
    return figures


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS)
    parser.add_argument("--round-s", type=float, default=ROUND_S)
    arguments = parser.parse_args()
    machine = describe_machine()
    clip = recordings()[0][1]
    clap = FrozenClap.load(arguments.model)
    # All else is as it is by default: a rate is a bound of its own, and here the others are looked at.
    with served(arguments.model, requests_per_s=0, batch_windows=0) as stack:
        figures = measure(stack, clap, clip, rounds=arguments.rounds, round_s=arguments.round_s)
    report(figures, "neighbours", machine=machine, model=arguments.model.name, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
