"""What a result has to say of the machine that it was measured on."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # without either, bfloat16 is emulated at a fraction of float32's rate
INSTRUCTIONS = ("avx2", "avx512f", *sorted(BFLOAT16))


def describe_machine() -> dict[str, object]:
    """The processor, its instructions that matter here, how busy it was, and the time."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {
        "cpu": model,
        "threads": torch.get_num_threads(),
        "instructions": _instructions(lines),
        "load_average": round(os.getloadavg()[0], 2),  # of the minute before: above the contestants' own, not quiet
        "torch": torch.__version__,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_s(pid: int) -> float:
    """The CPU time of a process so far, in seconds; unlike a wall clock, it does not see the machine's other work."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int, *, peak: bool = False) -> float:
    """The memory of a process that is in RAM now, or the most that was."""
    field = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in family(int(child)))]


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by itself, so that there is something to measure."""
    return bool(BFLOAT16 & set(describe_machine()["instructions"]))


def _instructions(lines: list[str]) -> list[str]:
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return [flag for flag in INSTRUCTIONS if flag in flags]
