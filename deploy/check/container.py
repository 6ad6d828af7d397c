"""Containers of an unpacked image by crun: what an engine does, without an engine.

The root is read-only, the user is the image's, capabilities are gone, memory is limited, the volumes are mounted, and
the first process is the first of its own process tree, as the compose file says. The network is the machine's.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from deploy.check.compose_file import Service

# crun refuses a machine that has both generations of cgroups; in a view of its own there is only the first.
CRUN = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"', "crun"]
MASKED_PATHS = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READ_ONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
MOUNTS = [
    ("/proc", "proc", []),
    ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=64m"]),
    ("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]),
    ("/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
]


class Container:
    """One container; `run` starts it and returns its process, `execute` runs a command beside it."""

    def __init__(self, name: str, root: Path, image_config: dict[str, Any], service: Service):
        self.name = name
        self._root, self._image, self._service = root, image_config, service
        self._bundle = Path()
        self._process: dict[str, Any] = {}

    def command(
        self, bundle: Path, arguments: list[str], environment: dict[str, str], volumes: dict[Path, str]
    ) -> list[str]:
        """The command line that runs `arguments` in it; `volumes` are directories here -> paths in the container."""
        bundle.mkdir(parents=True, exist_ok=True)
        self._bundle, self._process = bundle, self._process_of(environment)
        config = {
            "ociVersion": "1.0.0",
            "hostname": self.name,
            "root": {"path": str(self._root), "readonly": self._service.is_read_only},
            "process": self._process | {"args": arguments},
            "mounts": self._mounts(volumes),
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                "resources": {"memory": {"limit": self._service.memory_bytes}},
                "maskedPaths": MASKED_PATHS,
                "readonlyPaths": READ_ONLY_PATHS,
            },
        }
        (bundle / "config.json").write_text(json.dumps(config))
        return [*CRUN, "run", f"--bundle={bundle}", self.name]

    def execute(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command beside it, as `docker exec`."""
        path = self._bundle / "process.json"
        path.write_text(json.dumps(self._process | {"args": list(arguments)}))
        return _crun("exec", f"--process={path}", self.name)

    def signal(self, name: str) -> None:
        """Send its first process a signal, as `docker stop` does: `TERM`, `KILL`."""
        _crun("kill", self.name, name)

    def _process_of(self, environment: dict[str, str]) -> dict[str, Any]:
        if not self._service.is_without_capabilities:
            raise ValueError(f"{self._service.name} keeps capabilities, which is not made here")
        uid, _, gid = self._image["User"].partition(":")
        return {
            "terminal": False,
            "user": {"uid": int(uid), "gid": int(gid or uid)},
            "env": [*self._image["Env"], *(f"{name}={value}" for name, value in environment.items())],
            "cwd": self._image["WorkingDir"],
            "noNewPrivileges": self._service.is_without_new_privileges,
        }

    def _mounts(self, volumes: dict[Path, str]) -> list[dict[str, Any]]:
        mounts = [
            {"destination": path, "type": kind, "source": kind, "options": options} for path, kind, options in MOUNTS
        ]
        for path, options in self._service.tmpfs.items():
            options = ["nosuid", "nodev", "noexec", *options.split(",")]
            mounts.append({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options})
        binds = {path: (str(directory), "rw") for directory, path in volumes.items()}
        # As an engine does, for the names that the network of the machine knows.
        binds |= {path: (path, "ro") for path in ("/etc/resolv.conf", "/etc/hosts") if os.path.exists(path)}
        for path, (source, mode) in binds.items():
            mounts.append({"destination": path, "type": "bind", "source": source, "options": ["rbind", mode]})
        return mounts


def _crun(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*CRUN, *arguments], capture_output=True, text=True, timeout=120)
