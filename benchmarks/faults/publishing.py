"""`python -m benchmarks.faults.publishing`: kill -9 of workers and APIs at each step of publishing with clips.

A real API, a real worker with its runner, and a Redis, asked over HTTP to teach, to go on from a version, to set
thresholds, to erase clips and to delete versions and adapters; the store is swept in between. Each time one of the
processes is killed: the one that changes the store before a change by its number, or worker and runner together after a
random time. They are started again, the job goes on, and then every version must have its clips, after a sweep no clip
may be without a version, no job may have made two versions, none may fail, and what is counted for the quota must be
what is there. On a directory, and on an S3 server (moto) in a process of its own.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import httpx2
from rich.progress import track

from adapters_store import AdapterNotFound, StoreError, open_store, sweep
from adapters_store.kept_clips import AUDIO, CLIPS
from adapters_store.names import adapter_directory
from benchmarks.faults.fork_server import SOCKET, Trap, ask, pid_of
from benchmarks.figures import Figure, report
from benchmarks.kept_clips import short_clip
from benchmarks.machine import describe_machine
from benchmarks.served import BUNDLED
from local import private_redis
from tests.adapters_store.clips import check_sound, strays
from tests.adapters_store.places import new_bucket, s3_environment
from tests.e2e.stack import ROOT, answers, free_port, wait_for

TENANT = "local"
NAMES = ("birds", "drills")
NUM_SOUNDS = 14
STEPS = {
    "teach": ("runner", 16), "go on": ("runner", 9), "thresholds": ("api", 6), "erase a clip": ("api", 5),
    "erase clips": ("api", 8), "delete a version": ("api", 8), "delete an adapter": ("api", 14), "sweep": ("sweep", 4),
}  # fmt: skip
"""What is asked for, which sort of process does it, and about how many changes it makes."""
AT_RANDOM_SHARE = 0.2
LONGEST_S = 2.0
TIMEOUT_S = 240
QUICK = {"HEARTBEAT_S": "0.5", "HEARTBEAT_TTL_S": "3", "MAINTENANCE_INTERVAL_S": "1", "REQUESTS_PER_S": "0"}


class KilledStack:
    """One directory and the processes on it, of which those that are killed are forked."""

    def __init__(self, directory: Path, store_url: str | None):
        self.directory = directory
        self.redis, url = private_redis.start(directory)
        self.port = free_port()
        self.environment = os.environ | {f"EARSHOT_{name}": value for name, value in QUICK.items()}
        self.environment |= {
            "OMP_NUM_THREADS": "1", "EARSHOT_MODEL": str(BUNDLED), "EARSHOT_DATA_DIR": str(directory),
            "EARSHOT_REDIS_URL": url, "EARSHOT_LOG_LEVEL": "ERROR", "EARSHOT_BATCH_WINDOWS": "4",
        }  # fmt: skip
        if store_url:
            self.environment["EARSHOT_STORE_URL"] = store_url
        self.trap = Trap(directory)
        self.forks = self._started("benchmarks.faults.fork_server")
        wait_for((directory / SOCKET).exists, TIMEOUT_S)
        # Of the one who starts the APIs, so that nobody is refused while none is there.
        self.listening = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.address = f"http://127.0.0.1:{self.port}"
        self.worker = self._started("benchmarks.faults.forked_worker")
        wait_for((directory / "runner.pid").exists, TIMEOUT_S)
        self.start_api()

    def start_api(self) -> None:
        """Start an API on the port that all of them have had."""
        self.api = ask(self.directory, "api", self.listening.fileno())
        wait_for(lambda: answers(f"{self.address}/readyz"), TIMEOUT_S)

    def kill_worker(self) -> None:
        """Kill the worker and its runner at once, and start another."""
        with suppress(ProcessLookupError):  # the one before is gone, and the next is not forked yet
            os.kill(pid_of(self.directory, "runner"), signal.SIGKILL)
        self.worker.kill()
        self.worker.wait()
        self.worker = self._started("benchmarks.faults.forked_worker")

    def stop(self) -> None:
        for process in (self.worker, self.forks):
            process.kill()
            process.wait()
        os.kill(pid_of(self.directory, "api"), signal.SIGKILL)
        self.redis.terminate()
        self.redis.wait(10)

    def _started(self, module: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env=self.environment, start_new_session=True)


class Strikes:
    """Strikes on one stack, counted.

    Attributes:
        killed: by what was asked for.
        wrong: what should not be, a sentence each, by its sort.
    """

    def __init__(self, stack: KilledStack, seed: int):
        self.stack = stack
        self.store = open_store(stack.environment.get("EARSHOT_STORE_URL") or stack.directory / "adapters")
        self.client = httpx2.Client(base_url=stack.address, timeout=TIMEOUT_S)
        self.killed: Counter[str] = Counter()
        self.wrong: dict[str, list[str]] = {name: [] for name in ("lacking", "stray", "miscounted", "twice", "failed")}
        self.num_versions = 0
        self._dice = random.Random(seed)

    def strike(self) -> None:
        """Ask for something, kill who does it, let the job go on, and look."""
        step = self._dice.choice(list(STEPS))
        what, num_changes = STEPS[step]
        by_time = what == "runner" and self._dice.random() < AT_RANDOM_SHARE
        if not by_time:
            self.stack.trap.arm(what, self._dice.randrange(num_changes))
        job = self._asked(step)
        if by_time and job:
            time.sleep(self._dice.uniform(0, LONGEST_S))
            self.stack.kill_worker()
        if job:
            self._wait_for(job)
        was_killed = not self.stack.trap.disarm()
        self.killed[step] += bool(was_killed and (job or what != "runner"))
        if what == "api" and was_killed:
            self.stack.start_api()
        self._look(step)

    def _asked(self, step: str) -> str | None:
        """The id of the job, where one comes of it; a call that breaks off is not made again."""
        try:
            return self._ask(step)
        except (httpx2.TransportError, AdapterNotFound):
            return None

    def _ask(self, step: str) -> str | None:
        name = self._dice.choice(NAMES)
        versions = self.store.versions(TENANT, name)
        if step == "sweep":
            self._litter(name)
            ask(self.stack.directory, "sweep").recv(1)
        elif step == "teach" or not versions:
            pairs = self._dice.sample(range(NUM_SOUNDS // 2), 2)
            return self._adapt(name, [2 * number + half for number in pairs for half in (0, 1)])
        elif step == "go on":
            number = self._dice.choice(versions)
            return self._adapt(name, self._dice.sample(range(NUM_SOUNDS), 2), base=f"{name}@{number}")
        elif step == "thresholds":
            self.client.put(f"/adapters/{name}/thresholds", json={"sensitivity": self._dice.choice(["low", "high"])})
        elif step == "delete an adapter":
            self.client.delete(f"/adapters/{name}")
        elif step == "delete a version":
            self.client.delete(f"/adapters/{name}@{self._dice.choice(versions)}")
        else:
            ref = f"{name}@{self._dice.choice(versions)}"
            listed = self.store.clips(self.store.resolve(TENANT, ref))
            clip = "" if step == "erase clips" else f"/{self._dice.choice(sorted(listed.ids))}"
            self.client.delete(f"/adapters/{ref}/clips{clip}")
        return None

    def _litter(self, name: str) -> None:
        """Leave clips that no version names, so that there is something to sweep."""
        for _ in range(4):
            path = f"{adapter_directory(TENANT, name)}/{CLIPS}/{self._dice.randbytes(32).hex()}{AUDIO}"
            self.store._files.write(path, b"sound")

    def _adapt(self, name: str, sounds: list[int], **fields: str) -> str | None:
        files = [("clips", (f"{number}.wav", short_clip(number))) for number in sounds]
        labels = [f"label {number % 2}" for number in sounds]
        data = {"name": name, "labels": labels, "promote": "always", **fields}
        answer = self.client.post("/adapt", files=files, data=data)
        # A version whose clips were erased cannot be gone on from, which is said.
        return answer.json()["id"] if answer.status_code == 202 else None

    def _wait_for(self, job_id: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            job = self.client.get(f"/jobs/{job_id}").json()
            if job["state"] not in ("queued", "running"):
                break
            if time.monotonic() > deadline:
                job = {"state": "lost", "error": None}
                break
            time.sleep(0.1)
        if job["state"] != "succeeded":
            self.wrong["failed"].append(f"{job['state']}: {job['error']}")

    def _look(self, step: str) -> None:
        self._check(f"after {step}")
        with patch.object(sweep, "GRACE_S", -1.0):
            self.store.sweep()
        self._check(f"after {step} and a sweep")
        usage, files = self.store.usage(TENANT), self.store._files.tree(TENANT)
        made = {name: self.store.versions(TENANT, name) for name in NAMES}
        counted = {name: count for name, count in usage.versions.items() if count}
        if usage.stored_bytes != sum(entry.size_bytes for entry in files.values()) or counted != {
            name: len(versions) for name, versions in made.items() if versions
        }:
            self.wrong["miscounted"].append(f"{step}: {usage}")
        for name, versions in made.items():
            self.wrong["stray"] += strays(self.store, TENANT, name)
            self.num_versions = max([self.num_versions, *versions])
            manifests = (self.store.manifest(self.store.resolve(TENANT, f"{name}@{number}")) for number in versions)
            jobs = Counter(manifest["job"] for manifest in manifests if manifest.get("job"))
            self.wrong["twice"] += [job for job, count in jobs.items() if count > 1]

    def _check(self, when: str) -> None:
        for name in NAMES:
            try:
                check_sound(self.store, TENANT, name, model=None)
                current = self.store.current(TENANT, name)
                assert current in (*self.store.versions(TENANT, name), None), f"{name}@{current} is current"
            except (StoreError, AssertionError) as error:
                self.wrong["lacking"].append(f"{when}: {type(error).__name__} {error}")


def strikes_on(place: str, num_kills: int, store_url: str | None, seed: int) -> list[Figure]:
    """Strike until so many processes were killed."""
    with tempfile.TemporaryDirectory(prefix="earshot-kills-") as directory:
        stack = KilledStack(Path(directory), store_url)
        try:
            strikes = Strikes(stack, seed)
            for _ in track(_until(strikes, num_kills), total=num_kills, description=place):
                pass
        finally:
            stack.stop()
    for sort, sentences in strikes.wrong.items():
        for sentence in sentences[:10]:
            print(f"{place}: {sort}: {sentence}")
    print(f"{place}: killed while asked to {dict(strikes.killed)}")
    wrong = {sort: len(sentences) for sort, sentences in strikes.wrong.items()}
    return [
        Figure(f"{place}: processes killed", strikes.killed.total(), ""),
        Figure(f"{place}: versions published meanwhile", strikes.num_versions, ""),
        Figure(f"{place}: versions without their clips", wrong["lacking"], "", 0),
        Figure(f"{place}: clips without a version after a sweep", wrong["stray"], "", 0),
        Figure(f"{place}: wrong counts for the quota", wrong["miscounted"], "", 0),
        Figure(f"{place}: jobs that made two versions", wrong["twice"], "", 0),
        Figure(f"{place}: jobs failed or lost", wrong["failed"], "", 0),
    ]


def _until(strikes: Strikes, num_kills: int) -> Iterator[int]:
    done = 0
    while done < num_kills:
        strikes.strike()
        yield from range(done, min(strikes.killed.total(), num_kills))
        done = strikes.killed.total()


@contextmanager
def s3_process() -> Iterator[str]:
    """The URL of a store on an S3 server that is a process of its own."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/moto-api/"), TIMEOUT_S)
        with patch.dict(os.environ, s3_environment(f"http://127.0.0.1:{port}")):
            yield new_bucket()
    finally:
        server.kill()
        server.wait()


def main() -> None:
    """Strike, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=160, help="on a directory")
    parser.add_argument("--s3-kills", type=int, default=40, help="on S3")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    machine = describe_machine()
    figures = strikes_on("directory", given.kills, None, given.seed) if given.kills else []
    if given.s3_kills:
        with s3_process() as url:
            figures += strikes_on("S3", given.s3_kills, url, given.seed)
    report(figures, "publishing", machine=machine, **vars(given))


if __name__ == "__main__":
    main()
