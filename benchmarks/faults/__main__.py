"""`python -m benchmarks.faults`: bounds, broken files, strangers and dying processes against a running stack.

First one API stands everything that can be sent, all kinds mixed, and its memory is measured; then processes are killed
and paused under load. What counts as wrong is printed, with a bar of none.
"""

import argparse
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.progress import track

from adapters_store import open_store
from benchmarks.faults.afterwards import at_once, ended_jobs, half_adapters
from benchmarks.faults.caller import Call, Caller, Ledger, form
from benchmarks.faults.kills import Reaper
from benchmarks.faults.mutation import spoilt, spoilt_call
from benchmarks.faults.strangers import Treasure, is_leak, tries
from benchmarks.figures import Figure, report
from benchmarks.machine import describe_machine, resident_mib
from benchmarks.served import BUNDLED, recordings, served
from service.keys import KeyFile
from tests.jobs.archives import ARCHIVES

NUM_CLIENTS = 8
SECRET_LABELS = ("wolpertinger", "elwetritsch")
MEMORY_SETTLES_S = 60
MEMORY_BAR = 1.1


class Trial:
    """One stack, its tenants, and what they saw."""

    def __init__(self, stack, keys: dict[str, str], seed: int):
        self.stack = stack
        self.keys = keys
        self.seed = seed
        self.ledger = Ledger()
        self.clips = recordings()
        self.job_ids: list[str] = []
        self.leaks: list[str] = []
        self.is_over = threading.Event()
        self.reaper: Reaper | None = None

    def caller(self, tenant: str) -> Caller:
        """The tenant's calls to the API, wherever that runs by now."""
        return Caller(self.stack.apis[-1].address, self.keys[tenant])

    def ask(self, tenant: str, call: Call) -> tuple[int | None, bytes]:
        """Call and note the answer."""
        was_down = self.reaper is not None and self.reaper.holds_something_down
        status, content = self.caller(tenant)(call)
        is_down = self.reaper is not None and self.reaper.holds_something_down
        self.ledger.note(call, status, content, may_be_unavailable=was_down or is_down)
        return status, content

    def teach(self, tenant: str, name: str, labels: tuple[str, ...], *, key: str = "") -> str | None:
        """Queue a job of two clips a label; the id of its job."""
        wanted = sorted({label for label, _ in self.clips})[: len(labels)]
        own = [[clip for label, clip in self.clips if label == known][:2] for known in wanted]
        files = [("clips", f"{number}.ogg", clip) for clips in own for number, clip in enumerate(clips)]
        fields = [("name", name)] + [("labels", label) for label in labels for _ in range(2)]
        call = form("/adapt", fields, files)
        call = Call(call.method, call.path, call.body, call.headers | ({"Idempotency-Key": key} if key else {}))
        status, content = self.ask(tenant, call)
        return json.loads(content)["id"] if status == 202 else None

    def load(self, *, teaches: bool) -> None:
        """What an ordinary tenant does: classifies, and teaches now and then, until it is over."""
        number = 0
        while not self.is_over.is_set():
            number += 1
            clip = self.clips[number % len(self.clips)][1]
            self.ask("loaded", form("/classify", [("adapter", "kept")], [("audio", "a.ogg", clip)]))
            if teaches and number % 20 == 0:
                job_id = None
                while job_id is None and not self.is_over.is_set():  # as a careful client does: until it is answered
                    job_id = self.teach("loaded", f"taught-{number % 5}", ("a", "b"), key=f"{self.seed}-{number}")
                    time.sleep(0.2)
                self.job_ids += [job_id] if job_id else []


def valid_calls(trial: Trial) -> list[Call]:
    """One good call of each kind that has a body."""
    clip = trial.clips[0][1]
    two = [("clips", "a.ogg", clip), ("clips", "b.ogg", trial.clips[9][1])]
    status, file = trial.ask("fuzzing", Call("GET", "/adapters/kept/file"))
    as_json = {"Content-Type": "application/json"}
    return [
        form("/classify", [("adapter", "kept"), ("top_k", "2"), ("windows", "true")], [("audio", "a.ogg", clip)]),
        form("/classify", [("labels", '["dog", "rain"]'), ("template", "a {}")], [("audio", "a.ogg", clip[:3000])]),
        form("/adapt", [("name", "kept"), ("labels", "a"), ("labels", "b"), ("method", "ridge")], two),
        form("/adapt", [("name", "x"), ("base", "kept"), ("relabel", "{}"), ("remove", "[]")], two[:1]),
        form("/adapters/kept/evaluate", [("labels", "a"), ("labels", "b")], two),
        form("/adapters/kept/recalibrate", [], [("audio", "a.ogg", clip)] * 5),
        Call("PUT", "/adapters/kept/thresholds", b'{"sensitivity": "low"}', as_json),
        Call("PUT", "/adapters/kept/current", b'{"version": 1}', as_json),
        Call(
            "POST", "/adapters/sent/file", file if status == 200 else b"", {"Content-Type": "application/octet-stream"}
        ),
        Call("GET", "/adapters?limit=10&after=a"),
        Call("GET", "/jobs?limit=10&after=0"),
    ]


def fuzzed_bodies(trial: Trial, count: int) -> Iterator[Callable[[], object]]:
    """Calls of every kind, spoilt."""
    calls, dice = valid_calls(trial), random.Random(trial.seed)
    for _ in range(count):
        call = spoilt_call(dice.choice(calls), dice)
        yield lambda call=call: trial.ask("fuzzing", call)


def fuzzed_sounds(trial: Trial, count: int) -> Iterator[Callable[[], object]]:
    """Clips and archives of clips, spoilt, in forms that are not."""
    dice = random.Random(trial.seed + 1)
    entries = [(f"{label}/{number}.ogg", clip) for number, (label, clip) in enumerate(trial.clips) if number % 4 == 0]
    archives = [make(entries).getvalue() for make in ARCHIVES.values()]
    for number in range(count):
        if number % 2:
            call = form(
                "/classify", [("adapter", "kept")], [("audio", "a.ogg", spoilt(dice.choice(trial.clips)[1], dice))]
            )
        else:
            call = form("/adapt", [("name", "kept")], [("archive", "a", spoilt(dice.choice(archives), dice))])
        yield lambda call=call: trial.ask("fuzzing", call)


def strange_calls(trial: Trial, treasure: Treasure, count: int) -> Iterator[Callable[[], object]]:
    """Tries to reach another tenant's things."""
    make = tries(treasure, trial.clips[0][1][:3000], random.Random(trial.seed + 2))

    def ask(call: Call) -> None:
        status, content = trial.ask("stranger", call)
        if is_leak(treasure, status, content):
            trial.leaks.append(f"{status} {call.method} {call.path}")

    for _ in range(count):
        call = make()
        yield lambda call=call: ask(call)


def mixed(dice: random.Random, streams: Sequence[tuple[Iterator[Callable[[], object]], int]]) -> Iterator:
    """All calls of the streams, each of so many, in a random order."""
    left = [count for _, count in streams]
    while any(left):
        (which,) = dice.choices(range(len(streams)), left)
        left[which] -= 1
        yield next(streams[which][0])


def run_all(calls: Iterator[Callable[[], object]], count: int) -> None:
    """Run them with as many clients as there are, a bar showing how far it is."""
    with ThreadPoolExecutor(NUM_CLIENTS) as clients:
        for _ in track(clients.map(lambda call: call(), calls), total=count, description="what is sent"):
            pass


def buried_treasure(trial: Trial) -> Treasure:
    """Teach the tenant `owner` an adapter, and return what of it nobody else should see."""
    job_id = trial.teach("owner", "hoard", SECRET_LABELS)
    lost, jobs = ended_jobs(trial.caller("owner"), [job_id] if job_id else [])
    if lost or not jobs or jobs[0]["state"] != "succeeded":
        raise SystemExit(f"the owner's adapter could not be taught: {lost or jobs}")
    status, content = trial.ask("owner", Call("GET", "/adapters/hoard/clips"))
    clips = tuple(row["id"] for row in json.loads(content)["clips"]) if status == 200 else ()
    _, content = trial.ask("owner", Call("GET", "/adapters/hoard"))
    digest = json.loads(content)["adapter"]["digest"]
    return Treasure("owner", "hoard", job_id, clips, (*(label.encode() for label in SECRET_LABELS), digest.encode()))


def strikes(trial: Trial, workers: list, count: int) -> None:
    """Kill and pause at random moments, under load."""
    dice = random.Random(trial.seed + 3)
    trial.reaper = Reaper(trial.stack, trial.stack.apis[-1], workers, seed=trial.seed)
    for _ in track(range(count), description="kills and pauses"):
        time.sleep(dice.uniform(0.2, 4))
        trial.reaper.strike()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--sounds", type=int, default=1_000)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--strikes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    about = {"machine": describe_machine(), **vars(given)}
    settings = {"requests_per_s": 0, "log_format": "json", "heartbeat_s": 1, "heartbeat_ttl_s": 4}
    with served(BUNDLED, maintenance_interval_s=2, **settings) as stack:
        keys = KeyFile(stack.directory / "keys.json")
        trial = Trial(stack, {name: keys.add(name) for name in ("owner", "stranger", "fuzzing", "loaded")}, given.seed)
        workers = [stack.start_worker(), stack.start_worker()]
        figures = measure(trial, workers, given)
    report(figures, "faults", **about, answers={str(status): count for status, count in trial.ledger.answers.items()})
    for line in [*trial.ledger.wrong, *trial.leaks][:50]:
        print(line)


def measure(trial: Trial, workers: list, given: argparse.Namespace) -> list[Figure]:
    """Everything in turn, and what came of it."""
    treasure = buried_treasure(trial)
    for tenant in ("loaded", "fuzzing"):
        ended_jobs(trial.caller(tenant), [trial.teach(tenant, "kept", ("a", "b"))])
    pid, load = trial.stack.apis[-1].popen.pid, threading.Thread(target=trial.load, kwargs={"teaches": True})
    load.start()
    settled: list[float] = []
    clock = threading.Timer(MEMORY_SETTLES_S, lambda: settled.append(resident_mib(pid)))
    clock.start()
    streams = [
        (fuzzed_bodies(trial, given.bodies), given.bodies),
        (fuzzed_sounds(trial, given.sounds), given.sounds),
        (strange_calls(trial, treasure, given.tries), given.tries),
    ]
    run_all(mixed(random.Random(trial.seed + 4), streams), sum(count for _, count in streams))
    clock.join()
    memory = resident_mib(pid) / settled[0]
    strikes(trial, workers, given.strikes)
    trial.is_over.set()
    load.join()
    trial.stack.wait_until_ready(trial.stack.apis[-1])
    lost, jobs = ended_jobs(trial.caller("loaded"), trial.job_ids)
    failed = [job for job in jobs if job["state"] != "succeeded"]
    half, of_job = half_adapters(
        open_store(str(trial.stack.directory / "adapters")), trial.stack.directory / "adapters"
    )
    twice = [job for job, count in of_job.items() if count > 1]
    twice += at_once(trial.reaper.all_workers, trial.reaper.struck) if trial.reaper else []
    for line in [*lost, *half, *twice, *(json.dumps(job) for job in failed)][:50]:
        print(line)
    print(f"jobs under fire: {len(trial.job_ids)}; {dict(trial.reaper.done) if trial.reaper else {}}")
    return [
        Figure("answers of 5xx that should not be", len(trial.ledger.wrong), "answers", 0),
        Figure("jobs lost", len(lost), "jobs", 0),
        Figure("jobs failed for a reason of ours", len(failed), "jobs", 0),
        Figure("jobs run twice, or twice at once", len(twice), "jobs", 0),
        Figure("half adapters", len(half), "versions", 0),
        Figure("reads across tenants", len(trial.leaks), "answers", 0),
        Figure("the API's memory at the end of what was sent, against after its first minute", memory, "x", MEMORY_BAR),
    ]


if __name__ == "__main__":
    main()
