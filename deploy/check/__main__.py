"""`python -m deploy.check`: build the image and put the stack to the test. Any fault ends it with a message and 1."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from deploy.check import compose_stack
from deploy.check.buildah_stack import BuildahStack
from deploy.check.client import LABELS, Tenant
from deploy.check.compose_stack import ComposeStack

ROOT = Path(__file__).parents[2]
IMAGE = "earshot:0.1.0"
READY_TIMEOUT_S = 180
UPGRADE_LIMIT_S = 30
NUM_CLIENTS = 4
LONG_JOB_EPOCHS = 20


def main() -> int:
    """Parse the arguments, run every check, say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="check the image that is there")
    parser.add_argument("--image", default=IMAGE)
    arguments = parser.parse_args()
    # A check that is ended must not leave a stack behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack = (ComposeStack if compose_stack.is_available() else BuildahStack)(arguments.image)
    say(f"by {type(stack).__name__}")
    if not arguments.no_build:
        stack.build()
    say(f"the image weighs {stack.size_bytes() / 2**20:.0f} MiB")
    names = ["redis", "api", "worker-1", "worker-2"]
    try:
        check_stack(stack)
    except BaseException:
        for name in names:
            if name in getattr(stack, "_running", names):
                say(f"---- {name}\n{stack.log(name)[-4000:]}")
        raise
    finally:
        stack.down()
    say("image-check passed")
    return 0


def check_stack(stack: ComposeStack | BuildahStack) -> None:
    """Bring the stack up, and down again, checking all that the README says of it."""
    stack.start("redis")
    refused = stack.run("service")
    assert refused.returncode and "keys add" in refused.stdout + refused.stderr, refused
    say("without a key the API does not start")
    key = stack.run("service", "keys", "add", "acme").stdout.split()[-1]
    for name in ("api", "worker-1", "worker-2"):
        stack.start(name)
    tenant = Tenant(stack.address, key)
    started_s = time.monotonic()
    tenant.wait_until_ready(READY_TIMEOUT_S)
    say(f"ready after {time.monotonic() - started_s:.1f} s")
    check_adaptation(tenant)
    check_upgrade(stack, key)
    check_step_down(stack, tenant)
    check_walkthrough(stack.address, key)


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


def check_walkthrough(address: str, key: str) -> None:
    """Run the README's walkthrough, as it is written there, against this address and with this key."""
    section = re.search(r"^## Walkthrough$(.*?)(?=^## |\Z)", (ROOT / "README.md").read_text(), re.M | re.S)
    assert section, "README.md has no section 'Walkthrough'"
    blocks = re.findall(r"^```bash\n(.*?)^```", section[1], re.M | re.S)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / ".curlrc").write_text(f'header = "Authorization: Bearer {key}"\nfail-with-body\n')
        script = "set -euo pipefail\n" + "\n".join(blocks).replace("http://127.0.0.1:8000", address)
        environment = os.environ | {"CURL_HOME": directory}
        result = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
        )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    say(f"the README's walkthrough passed, {len(blocks)} steps")


def check_step_down(stack: ComposeStack | BuildahStack, tenant: Tenant) -> None:
    """SIGTERM to both workers, one after the other, in the middle of a job: it resumes, and comes to its end."""
    job_id = tenant.adapt("long", audio_prompt="aspl_star", num_shots=2, epochs=LONG_JOB_EPOCHS)
    before = tenant.wait_for(job_id, "running", epoch=2)["progress"]["epoch"]
    for name in ("worker-1", "worker-2"):
        say(f"{name} stopped within {stack.stop(name):.1f} s")
        stack.start(name)
    job = tenant.wait_for(job_id, "succeeded", timeout_s=400)
    assert job["adapter"]["version"] == 1, job
    say(f"a job whose workers were stopped at epoch {before} of {LONG_JOB_EPOCHS} came to its end")


def check_upgrade(stack: ComposeStack | BuildahStack, key: str) -> None:
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
    stack.stop("api")
    stack.start("api")
    Tenant(stack.address, key).wait_until_ready(READY_TIMEOUT_S)
    time.sleep(3)
    is_over.set()
    for client in clients:
        client.join()
    assert not faults, faults
    assert max(durations_s) <= UPGRADE_LIMIT_S, f"a clip waited {max(durations_s):.1f} s"
    say(f"API replaced under {NUM_CLIENTS} clients: {len(durations_s)} clips, the slowest {max(durations_s):.1f} s")


def say(text: str) -> None:
    """Tell the person who waits."""
    print(f"image-check: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
