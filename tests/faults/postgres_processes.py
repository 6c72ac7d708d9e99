"""The embedded PostgreSQL's processes, to be killed and frozen from outside."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.e2e.server_process import ServerProcess


def postmaster(server: ServerProcess) -> int | None:
    """Return the process id of the server's PostgreSQL; ``None`` while there is none."""
    try:
        pid = int((server.pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if _arguments(pid).startswith(b"/") and b"postgres" in _arguments(pid) else None


def children(parent: int) -> list[int]:
    """Return the process ids of a postmaster's processes."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry))
    return found


def backends(server: ServerProcess) -> list[int]:
    """Return the process ids that serve connections."""
    parent = postmaster(server)
    if parent is None:
        return []
    return [pid for pid in children(parent) if b"gbs_actor postgres [local]" in _arguments(pid)]


def freeze(server: ServerProcess) -> list[int]:
    """Stop PostgreSQL in the middle of what it does; return whom to :func:`thaw`."""
    parent = postmaster(server)
    if parent is None:
        return []
    os.kill(parent, signal.SIGSTOP)  # first, so that no further ones are born
    frozen = [parent, *children(parent)]
    for pid in frozen[1:]:
        _kill(pid, signal.SIGSTOP)
    return frozen


def thaw(frozen: list[int]) -> None:
    """Let them go on."""
    for pid in reversed(frozen):
        _kill(pid, signal.SIGCONT)


def kill(pid: int) -> None:
    """Send SIGKILL to a process that may be gone."""
    _kill(pid, signal.SIGKILL)


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _arguments(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""
