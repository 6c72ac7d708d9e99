"""What a process uses: CPU, memory and descriptors; Linux only."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the seconds of CPU of a process, all threads, to the nanosecond.

    :raises OSError: there is no such process.
    """
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) makes of a pid


def cpu_seconds_with_children(pid: int) -> float:
    """Return the seconds of CPU of a process and its children, those that have ended included."""
    total = cpu_seconds(pid)
    for child in children(pid):
        with suppress(OSError):  # it has ended
            total += cpu_seconds(child)
    # proc(5): behind the name in parentheses come state, ppid, …, utime, stime, cutime, cstime.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return total + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return _status(pid, "VmRSS") * 1024


def peak_resident_bytes(pid: int) -> int:
    """Return the most resident memory that a process has had."""
    return _status(pid, "VmHWM") * 1024


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise LookupError(f"no {name} in /proc/{pid}/status")
