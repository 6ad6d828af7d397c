"""The stack on a container engine, by `docker compose` itself."""

import json
import os
import secrets
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = "earshot-check"
PORT = 18000


class ComposeStack:
    """A project of its own, with volumes of its own, beside whatever else runs on this machine."""

    def __init__(self, image: str):
        self.address = f"http://127.0.0.1:{PORT}"
        self._image = image
        self._num_workers = 0
        self._environment = os.environ | {
            "EARSHOT_IMAGE": image,
            "EARSHOT_PUBLISH": f"127.0.0.1:{PORT}",
            "REDIS_PASSWORD": secrets.token_hex(16),
        }

    def build(self) -> None:
        """Build the image."""
        self._compose("build", "api", capture=False)

    def image_config(self) -> dict:
        """What the image says of itself: `Labels`, `Env`, `User`, `Entrypoint`, `Healthcheck` and so on."""
        return json.loads(self._docker("image", "inspect", "--format={{json .Config}}", self._image).stdout)

    def size_bytes(self) -> int:
        """What the image weighs, uncompressed."""
        print(self._docker("history", self._image).stdout, flush=True)
        return int(self._docker("image", "inspect", "--format={{.Size}}", self._image).stdout)

    def run(self, *arguments: str, entrypoint: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess:
        """Run the image once with the API's volumes."""
        flags = [f"--entrypoint={entrypoint}"] if entrypoint else []
        command = ["docker", "compose", f"--project-name={PROJECT}", "run", "--rm", "--no-deps", "-T", *flags, "api"]
        return subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, env=self._environment, cwd=ROOT, timeout=180
        )

    def start(self, name: str) -> None:
        """Start `redis`, `api` or a worker, which is called `worker-1`, `worker-2` and so on."""
        service, _, number = name.partition("-")
        if number:
            # Never fewer than were started: compose would take the others away.
            self._num_workers = max(self._num_workers, int(number))
            scale = f"--scale={service}={self._num_workers}"
            self._compose("up", "--detach", "--no-deps", "--no-recreate", scale, service)
        else:
            self._compose("up", "--detach", "--no-deps", "--force-recreate", service)

    def stop(self, name: str) -> float:
        """Stop it as an upgrade does; returns how long it took, in seconds."""
        started_s = time.monotonic()
        self._docker("stop", _container(name))
        return time.monotonic() - started_s

    def replace(self, name: str) -> None:
        """Put a new container in its place, as an upgrade does."""
        self._compose("up", "--detach", "--no-deps", "--force-recreate", name)

    def execute(self, name: str, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command in its container."""
        return self._docker("exec", _container(name), *arguments, check=False)

    def is_healthy(self, name: str) -> bool:
        """Whether its health check in the compose file has passed."""
        status = self._docker("inspect", "--format={{.State.Health.Status}}", _container(name)).stdout
        return status.strip() == "healthy"

    def ask_redis(self, command: str) -> str:
        """What Redis answers someone who gives no password."""
        return self.execute("redis", "redis-cli", command).stdout

    def lose_volumes(self, *names: str) -> None:
        """Empty volumes that no container uses."""
        self._compose("rm", "--stop", "--force", "api", "worker")
        self._docker("volume", "rm", *(f"{PROJECT}_{name}" for name in names))

    def log(self, name: str) -> str:
        """What it wrote; empty where it never ran."""
        result = self._docker("logs", _container(name), check=False)
        return result.stdout + result.stderr

    def down(self) -> None:
        """Stop everything, and remove containers and volumes."""
        self._compose("down", "--volumes", "--timeout=30", check=False)

    def _compose(self, *arguments: str, check: bool = True, capture: bool = True) -> subprocess.CompletedProcess:
        command = ["docker", "compose", f"--project-name={PROJECT}", *arguments]
        return subprocess.run(command, check=check, capture_output=capture, text=True, env=self._environment, cwd=ROOT)

    def _docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        command = ["docker", *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, env=self._environment)


def is_available() -> bool:
    """Whether a container engine with compose answers here."""
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _container(name: str) -> str:
    service, _, number = name.partition("-")
    return f"{PROJECT}-{service}-{number or 1}"
