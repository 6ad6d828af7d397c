"""The stack without a container engine: the image by buildah, its containers by crun, Redis from this machine's PATH.

What it leaves unproved is what only an engine does: the networks and the restarts of `docker-compose.yml`.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.check.compose_file import Service, read_services
from deploy.check.container import Container

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot"}
BASE_DOCKERFILE = """\
FROM scratch
ADD root.tar /
RUN ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
"""
LARGE_BYTES = 10 * 2**20
TOOLS = ("buildah", "crun", "unshare", "debootstrap", "redis-server")


class BuildahStack:
    """Redis, the API and workers of `docker-compose.yml`, each in a container of the built image."""

    def __init__(self, image: str):
        self.image = image
        self.password = secrets.token_hex(16)
        self.port, self.redis_port = _free_port(), _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._directory = Path(tempfile.mkdtemp(prefix="earshot-check-"))
        self._services = read_services(ROOT / "docker-compose.yml", {"REDIS_PASSWORD": self.password})
        self._running: dict[str, subprocess.Popen] = {}
        self._containers: dict[str, Container] = {}
        self._unpacked = ""
        self._root = Path()

    def build(self) -> None:
        """Build the image, on a base made from Debian's packages where there is none."""
        if not _buildah("images", "--quiet", BASE_IMAGE, check=False).stdout.strip():
            self._build_base()
        flags = [f"--volume={path}:{path}:ro" for path in _pip_paths()]
        command = ["buildah", "bud", "--format=docker", "--pull-never", "--layers", f"--tag={self.image}", *flags]
        subprocess.run([*command, str(ROOT)], check=True, env=os.environ | ENVIRONMENT)

    def image_config(self) -> dict:
        """What the image says of itself: `Labels`, `Env`, `User`, `Entrypoint`, `Healthcheck` and so on."""
        return json.loads(_buildah("inspect", "--type=image", self.image).stdout)["Docker"]["config"]

    def size_bytes(self) -> int:
        """What the image weighs, uncompressed; prints where the bytes go."""
        root = self._unpack()
        packages = next(root.glob("opt/venv/lib/python3*/site-packages"))
        sizes = {f"{path.relative_to(root)}": _size_bytes(path) for path in (root / "opt/venv", root / "app")}
        sizes |= {path.name: size for path in packages.iterdir() if (size := _size_bytes(path)) > LARGE_BYTES}
        total = _size_bytes(root)
        sizes["the base image and tini"] = total - sizes["opt/venv"] - sizes["app"]
        for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
            print(f"{size / 2**20:7.0f} MiB  {name}", flush=True)
        return total

    def run(self, *arguments: str, entrypoint: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess:
        """Run the image once with the API's volumes, as `docker compose run --rm --no-deps api`."""
        config = self.image_config()
        command = [entrypoint, *arguments] if entrypoint else [*config["Entrypoint"], *arguments]
        return subprocess.run(self._command("once", command), capture_output=True, input=stdin, timeout=180)

    def start(self, name: str) -> None:
        """Start `redis`, `api` or a worker, which is called `worker-1`, `worker-2` and so on."""
        service = self._service(name)
        environment = dict(os.environ)
        if name == "redis":
            command = self._redis_command(service)
            environment |= service.environment
        else:
            command = self._command(name, [*self.image_config()["Entrypoint"], *service.command])
        with (self._directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def stop(self, name: str) -> float:
        """Stop it as an engine does, by SIGTERM to its first process; returns how long it took, in seconds."""
        process, grace_s = self._running.pop(name), self._service(name).stop_grace_s
        started_s = time.monotonic()
        self._signal(name, process, "TERM")
        try:
            process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self._signal(name, process, "KILL")
            raise AssertionError(f"{name} did not stop within {grace_s} s") from None
        return time.monotonic() - started_s

    def replace(self, name: str) -> None:
        """Put a new container in its place, as an upgrade does."""
        self.stop(name)
        self.start(name)

    def execute(self, name: str, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command in its container."""
        return self._containers[name].execute(*arguments)

    def is_healthy(self, name: str) -> bool:
        """Whether its health check in the compose file passes now."""
        kind, *command = self._service(name).healthcheck
        assert kind == "CMD", kind
        return self.execute(name, *command).returncode == 0

    def ask_redis(self, command: str) -> str:
        """What Redis answers someone who gives no password."""
        with socket.create_connection(("127.0.0.1", self.redis_port), timeout=10) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(4096).decode()

    def lose_volumes(self, *names: str) -> None:
        """Empty volumes that no container uses."""
        for name in names:
            shutil.rmtree(self._volume(name))

    def log(self, name: str) -> str:
        """What it wrote; empty where it never ran."""
        path = self._directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def down(self) -> None:
        """Stop everything, and remove containers and volumes."""
        for name in sorted(self._running, reverse=True):
            self.stop(name)
        if self._unpacked:
            _buildah("rm", self._unpacked)
        shutil.rmtree(self._directory)

    def _service(self, name: str) -> Service:
        return self._services[name.partition("-")[0]]

    def _command(self, name: str, arguments: list[str]) -> list[str]:
        service = self._services["api"] if name == "once" else self._service(name)
        environment = service.environment | {"EARSHOT_PORT": str(self.port)}
        redis_url = environment["EARSHOT_REDIS_URL"].replace("redis:6379", f"127.0.0.1:{self.redis_port}")
        environment["EARSHOT_REDIS_URL"] = redis_url
        volumes = {self._volume(volume, path): path for volume, path in service.volumes.items()}
        container = Container(f"earshot-check-{name}-{os.getpid()}", self._unpack(), self.image_config(), service)
        self._containers[name] = container
        return container.command(self._directory / "bundles" / name, arguments, environment, volumes)

    def _redis_command(self, service: Service) -> list[str]:
        script = service.command[-1].replace("/tmp/redis.conf", str(self._directory / "redis.conf"))
        volume = self._directory / "volumes" / "redis"
        volume.mkdir(parents=True, exist_ok=True)
        script = script.replace("dir /data", f"dir {volume}").rstrip()
        return [*service.command[:-1], f"{script} --port {self.redis_port} --bind 127.0.0.1"]

    def _volume(self, name: str, path: str = "") -> Path:
        """A volume's directory; a new one belongs to whom its place in the image belongs to, as with an engine."""
        directory = self._directory / "volumes" / name
        if path and not directory.exists():
            directory.mkdir(parents=True)
            place = (self._unpack() / path.lstrip("/")).stat()
            os.chown(directory, place.st_uid, place.st_gid)
            directory.chmod(place.st_mode & 0o7777)
        return directory

    def _signal(self, name: str, process: subprocess.Popen, signal: str) -> None:
        if name == "redis":
            (process.terminate if signal == "TERM" else process.kill)()
        else:
            self._containers[name].signal(signal)

    def _unpack(self) -> Path:
        """The image's files, which every container has as its read-only root."""
        if not self._unpacked:
            self._unpacked = _buildah("from", "--pull-never", self.image).stdout.strip()
            self._root = Path(_buildah("mount", self._unpacked).stdout.strip())
        return self._root

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


def missing_tools() -> list[str]:
    """Which of the programs that it needs are not here."""
    return [tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None]


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
