"""What the stack must show, step by step, the README's and the operations page's own commands among it."""

import os
import re
import shlex
import subprocess
import tempfile
import threading
import time
import tomllib
from pathlib import Path
from typing import Protocol

from deploy.check.client import LABELS, Tenant
from service.version import VERSION

ROOT = Path(__file__).parents[2]
NAMES = ("redis", "api", "worker-1", "worker-2")
READY_TIMEOUT_S = 180
UPGRADE_LIMIT_S = 30
NUM_CLIENTS = 4
LONG_JOB_EPOCHS = 20
WRITABLE = ("/adapters", "/cache", "/data", "/keys", "/tmp")
# Prints what holds of the process that runs it; `{}` is a list of directories.
PROBE = """
import os, tempfile
def writable(path):
    try:
        tempfile.TemporaryFile(dir=path).close()
        return True
    except OSError:
        return False
directories = ["/", "/app", "/etc", "/home", "/opt/venv", "/run", "/usr", "/var", "/var/tmp", "/var/log", *{}]
print(",".join(path for path in directories if writable(path)))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(os.getuid(), int(status["CapBnd"], 16), int(status["NoNewPrivs"]), open("/proc/1/comm").read().strip())
"""


class Stack(Protocol):
    """Redis, the API and workers of `docker-compose.yml`, on an engine or without one."""

    address: str

    def build(self) -> None: ...
    def image_config(self) -> dict: ...
    def size_bytes(self) -> int: ...
    def run(self, *arguments: str, entrypoint: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess: ...
    def start(self, name: str) -> None: ...
    def stop(self, name: str) -> float: ...
    def replace(self, name: str) -> None: ...
    def execute(self, name: str, *arguments: str) -> subprocess.CompletedProcess: ...
    def is_healthy(self, name: str) -> bool: ...
    def ask_redis(self, command: str) -> str: ...
    def lose_volumes(self, *names: str) -> None: ...
    def log(self, name: str) -> str: ...
    def down(self) -> None: ...


def check_stack(stack: Stack) -> None:
    """Bring the stack up, and put all to the test that the README says of it."""
    check_labels(stack)
    stack.start("redis")
    refused = stack.run("service")
    assert refused.returncode and b"keys add" in refused.stdout + refused.stderr, refused
    say("without a key the API does not start")
    key = stack.run("service", "keys", "add", "acme").stdout.decode().split()[-1]
    tenant = Tenant(stack.address, key)
    started_s = time.monotonic()
    stack.start("api")
    tenant.wait_until_ready(READY_TIMEOUT_S)
    say(f"the API is ready after {time.monotonic() - started_s:.1f} s")
    stranger = Tenant(stack.address, "no key")
    assert stranger.status("/adapters") == 401
    # The last is a link out of its folder, which an image can lose.
    assert [stranger.status(path) for path in ("/", "/web/app.js", "/web/earshot.js")] == [200, 200, 200]
    for name in ("worker-1", "worker-2"):
        stack.start(name)
    check_adaptation(tenant)
    check_health(stack)
    check_confinement(stack)
    check_upgrade(stack, key)
    check_step_down(stack, tenant)
    check_walkthrough(stack.address, key)
    check_redis(stack, tenant)
    check_restore(stack, tenant)


def check_labels(stack: Stack) -> None:
    """The image says what it is, under which licence, who runs it and how its health is asked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    config = stack.image_config()
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["version"] == VERSION, labels
    assert labels["licenses"] == project["license"], labels
    assert config["User"] not in ("", "0", "root"), config["User"]
    assert "tini" in config["Entrypoint"][0], config["Entrypoint"]
    assert config["Healthcheck"]["Test"], config


def check_health(stack: Stack) -> None:
    """The health checks of the compose file pass, the workers' as well."""
    names = ("api", "worker-1", "worker-2")
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not all(stack.is_healthy(name) for name in names):
        assert time.monotonic() < deadline, [name for name in names if not stack.is_healthy(name)]
        time.sleep(1)
    say("API and workers are healthy, by the checks of the compose file")


def check_confinement(stack: Stack) -> None:
    """No root, no capabilities, and nothing to write to but the volumes and /tmp."""
    for name, without in (("api", set()), ("worker-1", {"/keys"})):
        result = stack.execute(name, "python", "-c", PROBE.format(WRITABLE))
        assert result.returncode == 0, result
        writable, identity = result.stdout.splitlines()
        assert set(writable.split(",")) == set(WRITABLE) - without, writable
        assert identity == "10001 0 1 tini", identity
    say(f"user 10001 behind tini, no capabilities, read-only but for {', '.join(WRITABLE)}; no keys for a worker")


def check_adaptation(tenant: Tenant) -> None:
    """Teach two sounds twice, classify with both versions, roll back."""
    for version in (1, 2):
        job_id = tenant.adapt("steam", audio_prompt="none", num_shots=4, epochs=20)
        events = tenant.events(job_id)
        job = tenant.wait_for(job_id, "succeeded")
        assert job["adapter"] == {"name": "steam", "version": version}, job
        assert events, "no events"
    for label in LABELS:
        results = [tenant.classify("steam", label, seed)["results"][0]["label"] for seed in range(100, 104)]
        assert results.count(label) >= 3, (label, results)
    tenant.set_current("steam", 1)
    assert tenant.classify("steam", LABELS[0], 100)["adapter"]["version"] == 1
    say("taught, followed, classified, rolled back")


def check_upgrade(stack: Stack, key: str) -> None:
    """Replace the API while clients classify: every clip is answered within 30 s."""
    is_over = threading.Event()
    durations_s: list[float] = []
    faults: list[BaseException] = []

    def classify(seed: int) -> None:
        tenant = Tenant(stack.address, key)
        try:
            while not is_over.is_set():
                durations_s.append(tenant.classify_until_answered("steam", LABELS[seed % 2], seed))
        except Exception as fault:
            faults.append(fault)

    clients = [threading.Thread(target=classify, args=(seed,)) for seed in range(NUM_CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(3)
    load, num_before = os.getloadavg()[0], len(durations_s)
    stack.replace("api")
    Tenant(stack.address, key).wait_until_ready(READY_TIMEOUT_S)
    time.sleep(3)
    is_over.set()
    for client in clients:
        client.join()
    assert not faults, faults
    assert num_before and len(durations_s) > num_before + NUM_CLIENTS, "nobody classified before or after"
    slowest_s = max(durations_s)
    assert slowest_s <= UPGRADE_LIMIT_S, f"a clip waited {slowest_s:.1f} s, at a load of {load:.1f}"
    say(
        f"API replaced under {NUM_CLIENTS} clients at a load of {load:.1f} on {os.cpu_count()} cores: "
        f"{len(durations_s)} clips, all answered, the slowest after {slowest_s:.1f} s"
    )


def check_step_down(stack: Stack, tenant: Tenant) -> None:
    """SIGTERM to both workers, one after the other, in the middle of a job: it resumes, and comes to its end."""
    job_id = tenant.adapt("long", audio_prompt="aspl_star", num_shots=2, epochs=LONG_JOB_EPOCHS)
    progress = tenant.wait_for(job_id, "running", epoch=2)["progress"]
    for name in ("worker-1", "worker-2"):
        say(f"{name} stopped within {stack.stop(name):.1f} s")
        stack.start(name)
    job = tenant.wait_for(job_id, "succeeded", timeout_s=400)
    assert job["adapter"]["version"] == 1, job
    say(f"a job stopped at epoch {progress['epoch']} of {progress['epochs']}, twice, came to its end")


def check_walkthrough(address: str, key: str) -> None:
    """Run the README's walkthrough, as it is written there, against this address and with this key."""
    blocks = re.findall(r"^```bash\n(.*?)^```", section("README.md", "Walkthrough"), re.M | re.S)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / ".curlrc").write_text(f'header = "Authorization: Bearer {key}"\nfail-with-body\n')
        script = "set -euo pipefail\n" + "\n".join(blocks).replace("http://127.0.0.1:8000", address)
        environment = os.environ | {"CURL_HOME": directory}
        result = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
        )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    say(f"the README's walkthrough passed, {len(blocks)} steps")


def check_redis(stack: Stack, tenant: Tenant) -> None:
    """Redis answers nobody without the password, and a restart of it forgets no job."""
    assert "NOAUTH" in stack.ask_redis("DBSIZE"), "Redis answers without a password"
    before = tenant.jobs()
    stack.stop("redis")
    stack.start("redis")
    tenant.wait_until_ready(READY_TIMEOUT_S)
    assert tenant.jobs() == before, "jobs were lost"
    say(f"Redis asks for its password, and knew {len(before)} jobs after a restart")


def check_restore(stack: Stack, tenant: Tenant) -> None:
    """Back up under way, lose adapters and keys, restore: the same key classifies with the same adapters."""
    back_up, restore = backup_commands()
    before = {name: tenant.classify(name, LABELS[1], 7) for name in ("steam", "steam@2")}
    archive = stack.run(*back_up[1:], entrypoint=back_up[0])
    assert archive.returncode == 0 and archive.stdout, archive.stderr
    for name in ("api", "worker-1", "worker-2"):
        stack.stop(name)
    stack.lose_volumes("adapters", "keys")
    restored = stack.run(*restore[1:], entrypoint=restore[0], stdin=archive.stdout)
    assert restored.returncode == 0, restored.stderr
    stack.start("api")
    tenant.wait_until_ready(READY_TIMEOUT_S)
    for name, answer in before.items():
        again = tenant.classify(name, LABELS[1], 7)
        assert again["adapter"] == answer["adapter"], (answer, again)
        assert again["results"][0]["label"] == answer["results"][0]["label"], (answer, again)
    say(f"adapters and keys lost, restored from {len(archive.stdout) / 1024:.0f} KiB: they classify as before")


def backup_commands() -> list[list[str]]:
    """The commands of the operations page that back up and restore: what they run in the API's container."""
    text = section("docs/operations.md", "Back up and restore")
    found = re.findall(r"^docker compose run --rm --no-deps -T --entrypoint (\S+) api (.*?) [<>] \S+", text, re.M)
    assert len(found) == 2, found
    return [[entrypoint, *shlex.split(arguments)] for entrypoint, arguments in found]


def section(page: str, title: str) -> str:
    """A section of one of our pages."""
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", (ROOT / page).read_text(), re.M | re.S)
    assert found, f"{page} has no section {title!r}"
    return found[1]


def say(text: str) -> None:
    """Tell the person who waits."""
    print(f"image-check: {text}", flush=True)
