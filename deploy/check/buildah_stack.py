"""The stack without a container engine: images by buildah, processes on this machine's network, Redis from its PATH.

It proves the image, its command lines, its user and its volumes; it does not prove what only an engine does: the
networks, the memory limits, the read-only root and the restarts of `docker-compose.yml`.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.check.compose_file import Service, read_services

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
USER = 10001
ENVIRONMENT = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
BASE_DOCKERFILE = """\
FROM scratch
ADD root.tar /
RUN ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
"""


class BuildahStack:
    """Redis, the API and workers of `docker-compose.yml`, each a process in a container of the built image."""

    def __init__(self, image: str):
        self.image = image
        self.password = secrets.token_hex(16)
        self.port, self._redis_port = _free_port(), _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._directory = Path(tempfile.mkdtemp(prefix="earshot-check-"))
        self._services = read_services(ROOT / "docker-compose.yml", {"REDIS_PASSWORD": self.password})
        self._running: dict[str, subprocess.Popen] = {}

    def build(self) -> None:
        """Build the image, on a base made from Debian's packages where there is none."""
        if not _buildah("images", "--quiet", BASE_IMAGE, check=False).stdout.strip():
            self._build_base()
        flags = [f"--volume={path}:{path}:ro" for path in _pip_paths()]
        command = ["buildah", "bud", "--format=docker", "--pull-never", "--layers", f"--tag={self.image}", *flags]
        subprocess.run([*command, str(ROOT)], check=True, env=os.environ | ENVIRONMENT)

    def size_bytes(self) -> int:
        """What the image weighs, uncompressed; prints where the bytes go."""
        container = _buildah("from", "--pull-never", self.image).stdout.strip()
        try:
            root = Path(_buildah("mount", container).stdout.strip())
            packages = next(root.glob("opt/venv/lib/python3*/site-packages"))
            sizes = {f"{path.relative_to(root)}": _size_bytes(path) for path in (root / "opt/venv", root / "app")}
            sizes |= {path.name: size for path in packages.iterdir() if (size := _size_bytes(path)) > 20 * 2**20}
            for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
                print(f"{size / 2**20:7.0f} MiB  {name}", flush=True)
            return _size_bytes(root)
        finally:
            _buildah("rm", container)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the image once with the API's volumes, as `docker compose run --rm api`."""
        command = self._command("once", self._services["api"], list(arguments))
        result = subprocess.run(command, capture_output=True, text=True, env=os.environ | ENVIRONMENT, timeout=180)
        _buildah("rm", "earshot-check-once")
        return result

    def start(self, name: str) -> None:
        """Start `redis`, `api` or a worker, which is called `worker-1`, `worker-2` and so on."""
        service = self._services[name.partition("-")[0]]
        command = self._redis_command(service) if name == "redis" else self._command(name, service, service.command)
        environment = os.environ | ENVIRONMENT | (service.environment if name == "redis" else {})
        log = (self._directory / f"{name}.log").open("ab")
        self._running[name] = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )

    def stop(self, name: str) -> float:
        """Stop it as an engine does, by SIGTERM to its first process; returns how long it took, in seconds."""
        process, service = self._running.pop(name), self._services[name.partition("-")[0]]
        started_s = time.monotonic()
        for pid in _first_processes(process.pid):
            os.kill(pid, signal.SIGTERM)
        try:
            process.wait(timeout=service.stop_grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{name} did not stop within {service.stop_grace_s} s") from None
        finally:
            if name != "redis":
                _buildah("rm", f"earshot-check-{name}", check=False)
        return time.monotonic() - started_s

    def log(self, name: str) -> str:
        """What it wrote."""
        return (self._directory / f"{name}.log").read_text(errors="replace")

    def down(self) -> None:
        """Stop everything, and remove containers and volumes."""
        for name in sorted(self._running, reverse=True):
            self.stop(name)
        shutil.rmtree(self._directory)

    def _command(self, name: str, service: Service, arguments: list[str]) -> list[str]:
        container = f"earshot-check-{name}"
        _buildah("from", "--pull-never", f"--name={container}", self.image)
        config = json.loads(_buildah("inspect", "--type=image", self.image).stdout)["Docker"]["config"]
        environment = service.environment | {"EARSHOT_PORT": str(self.port), "TINI_SUBREAPER": "1"}
        redis_url = environment["EARSHOT_REDIS_URL"].replace("redis:6379", f"127.0.0.1:{self._redis_port}")
        environment["EARSHOT_REDIS_URL"] = redis_url
        flags = [f"--env={key}={value}" for key, value in environment.items()]
        flags += [f"--volume={self._volume(volume)}:{path}" for volume, path in service.volumes.items()]
        command = ["buildah", "run", f"--user={config['User']}", *flags, container, "--"]
        return [*command, *config["Entrypoint"], *arguments]

    def _redis_command(self, service: Service) -> list[str]:
        script = service.command[-1].replace("/tmp/redis.conf", str(self._directory / "redis.conf"))
        script = script.replace("dir /data", f"dir {self._volume('redis')}").rstrip()
        return [*service.command[:-1], f"{script} --port {self._redis_port} --bind 127.0.0.1"]

    def _volume(self, name: str) -> Path:
        path = self._directory / "volumes" / name
        if not path.exists():
            path.mkdir(parents=True)
            os.chown(path, USER, USER)
        return path

    def _build_base(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            packages = "python3,python3-venv,ca-certificates"
            bootstrap = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", f"{directory}/root"]
            subprocess.run(bootstrap, check=True, stdout=subprocess.DEVNULL)
            archive = ["tar", "-C", f"{directory}/root", "--exclude=./var/cache/apt/archives/*.deb", "-cf"]
            subprocess.run([*archive, f"{directory}/root.tar", "."], check=True)
            shutil.rmtree(f"{directory}/root")
            (Path(directory) / "Dockerfile").write_text(BASE_DOCKERFILE)
            _buildah("bud", f"--tag={BASE_IMAGE}", directory)


def _buildah(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    result = subprocess.run(["buildah", *arguments], capture_output=True, text=True, env=os.environ | ENVIRONMENT)
    if check and result.returncode:
        raise RuntimeError(f"buildah {' '.join(arguments)}: {result.stderr}")
    return result


def _pip_paths() -> list[str]:
    """What this machine's pip is set up with, which the pip in the build needs as well."""
    home = Path.home()
    candidates = ["/etc/pip.conf", str(home / ".config/pip/pip.conf"), str(home / ".pip/pip.conf")]
    candidates += [os.environ.get("PIP_CERT", ""), *os.environ.get("PIP_FIND_LINKS", "").split()]
    return [path for path in candidates if path and Path(path).exists()]


def _size_bytes(path: Path) -> int:
    return int(subprocess.run(["du", "-xsb", path], capture_output=True, text=True, check=True).stdout.split()[0])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _first_processes(pid: int) -> list[int]:
    """The processes that stand where an engine's process 1 would: tini, or the process itself for Redis."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            names[int(entry.name)] = stat[stat.index("(") + 1 : stat.rindex(")")]
            parents.setdefault(int(stat[stat.rindex(")") + 2 :].split()[1]), []).append(int(entry.name))
    below, found = [pid], []
    while below:
        process = below.pop()
        if names.get(process) == "tini":
            found.append(process)
        else:
            below += parents.get(process, [])
    return found or [pid]
