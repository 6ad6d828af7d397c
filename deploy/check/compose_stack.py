"""The stack on a container engine, by `docker compose` itself."""

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
        self._environment = os.environ | {
            "EARSHOT_IMAGE": image,
            "EARSHOT_PUBLISH": f"127.0.0.1:{PORT}",
            "REDIS_PASSWORD": secrets.token_hex(16),
        }

    def build(self) -> None:
        """Build the image."""
        self._compose("build", "api", capture=False)

    def size_bytes(self) -> int:
        """What the image weighs, uncompressed."""
        print(self._docker("history", self._image).stdout, flush=True)
        return int(self._docker("image", "inspect", "--format={{.Size}}", self._image).stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the image once with the API's volumes."""
        return self._compose("run", "--rm", "--no-deps", "-T", "api", *arguments, check=False)

    def start(self, name: str) -> None:
        """Start `redis`, `api` or a worker, which is called `worker-1`, `worker-2` and so on."""
        service, _, number = name.partition("-")
        if not number or int(number) == 1:
            self._compose("up", "--detach", "--no-deps", "--force-recreate", service)
        else:
            self._compose("up", "--detach", "--no-deps", "--no-recreate", f"--scale={service}={number}", service)

    def stop(self, name: str) -> float:
        """Stop it as an upgrade does; returns how long it took, in seconds."""
        started_s = time.monotonic()
        service, _, number = name.partition("-")
        self._docker("stop", f"{PROJECT}-{service}-{number or 1}")
        return time.monotonic() - started_s

    def log(self, name: str) -> str:
        """What it wrote."""
        service, _, number = name.partition("-")
        result = self._docker("logs", f"{PROJECT}-{service}-{number or 1}")
        return result.stdout + result.stderr

    def down(self) -> None:
        """Stop everything, and remove containers and volumes."""
        self._compose("down", "--volumes", "--timeout=30", check=False)

    def _compose(self, *arguments: str, check: bool = True, capture: bool = True) -> subprocess.CompletedProcess:
        command = ["docker", "compose", f"--project-name={PROJECT}", *arguments]
        return subprocess.run(command, check=check, capture_output=capture, text=True, env=self._environment, cwd=ROOT)

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, env=self._environment)


def is_available() -> bool:
    """Whether a container engine with compose answers here."""
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    return True
