"""What the operating system says about this process."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from gbs_actor.environment import SYSTEM

_STATM: Final = Path("/proc/self/statm")
_DESCRIPTORS: Final = Path("/proc/self/fd")
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class ProcessStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A process at one moment."""

    pid: int
    started_at: float
    """Unix time in seconds."""
    cpu_seconds: float
    """Time of all cores since its start, in user and system mode."""
    memory_bytes: int | None
    """Resident; ``None`` where the system has no ``/proc``."""
    peak_memory_bytes: int
    threads: int
    open_descriptors: int | None
    """Files and sockets; ``None`` where the system has no ``/proc``."""
    descriptor_limit: int | None
    """``None``: there is none."""


def process_statistics() -> ProcessStatistics:
    """Return what the system says about this process now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ProcessStatistics(
        pid=os.getpid(),
        started_at=_STARTED_AT,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        memory_bytes=_resident(),
        peak_memory_bytes=usage.ru_maxrss * _MAXRSS_UNIT,
        threads=threading.active_count(),
        open_descriptors=_open_descriptors(),
        descriptor_limit=None if soft == resource.RLIM_INFINITY else soft,
    )


def _resident() -> int | None:
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGESIZE")


def _open_descriptors() -> int | None:
    try:
        # Since Linux 6.2 the size of the folder is their number, and listing 10,000 takes long.
        return os.stat(_DESCRIPTORS).st_size or len(os.listdir(_DESCRIPTORS))
    except OSError:
        return None


def _started_at() -> float:
    try:
        # Behind the name, which may have spaces: field 22 of proc(5), in ticks since the boot.
        ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        age = 0.0  # no Linux: this module is imported at the start
    return SYSTEM.wall() - age


_STARTED_AT: Final = _started_at()
