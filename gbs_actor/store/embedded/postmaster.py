"""PostgreSQL processes of one data directory, found in ``/proc``.

A process id alone proves nothing: after a crash another process may have it. So a process
counts only if it is called ``postgres`` and the data directory is its working directory. It is
watched and signalled through a pidfd, which always refers to the same process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import structlog
import trio

PID_FILE = "postmaster.pid"

_KILL_TIMEOUT = 10.0  # seconds until a killed process has ended; the disk may be slow
_STOPPING: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 15.0),
    (signal.SIGQUIT, 5.0),
    (signal.SIGKILL, _KILL_TIMEOUT),
)
"""Signals for a server that is to stop, each with the seconds it gets."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running process of a PostgreSQL server."""

    pid: int
    pidfd: int
    is_postmaster: bool

    def send(self, number: signal.Signals) -> None:
        """Send a signal; to one that has ended it does nothing."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)


def read_pid_file(data: Path) -> list[str]:
    """Return the lines of a server's pid file; none if there is no readable one."""
    try:
        # As root we read in a folder of another account: no links, no blocking on a FIFO.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(data / PID_FILE, flags), encoding="ascii", errors="replace") as file:
            return file.read(4096).splitlines()
    except OSError:
        return []


def is_ready(data: Path, pid: int) -> bool:
    """Return whether the postmaster with this pid accepts connections."""
    lines = read_pid_file(data)
    return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


@contextmanager
def processes_of(data: Path) -> Iterator[list[ServerProcess]]:
    """Find the PostgreSQL processes of a data directory.

    Only root can see those of other users, which suffices: a data directory has one owner.
    """
    with ExitStack() as stack:
        found: list[ServerProcess] = []
        for entry in os.listdir("/proc"):
            if not entry.isdecimal() or not _runs_in(data, entry):
                continue
            try:
                pidfd = os.pidfd_open(int(entry))
            except OSError:
                continue
            stack.callback(os.close, pidfd)
            # Checked again with the pidfd open: now the pid cannot be an earlier owner's.
            if _runs_in(data, entry):
                found.append(ServerProcess(int(entry), pidfd, _is_postmaster(entry)))
        yield found


async def wait_ended(processes: list[ServerProcess], seconds: float) -> bool:
    """Wait until all of them have ended, zombies included.

    :param seconds: the longest wait.
    :return: whether they have. Cancellable at any time, without effect.
    """
    with trio.move_on_after(seconds):
        for process in processes:
            await trio.lowlevel.wait_readable(process.pidfd)
        return True
    return False


async def stop_leftovers(data: Path) -> int:
    """Stop a server that an earlier run left behind, with all of its backends.

    :return: how many processes were found. Returns when they have ended; they, and their
        shared memory, would keep a new server from starting. Cancellation leaves them
        with the signals sent so far.
    """
    count = 0
    for number, seconds in _STOPPING:
        with processes_of(data) as found:
            if not found:
                break
            count = max(count, len(found))
            if count == len(found):
                _log.info("a database server was left behind; stopping it", processes=count)
            for process in found:
                # Backends end with their postmaster; orphans notice within seconds.
                if process.is_postmaster or number is signal.SIGKILL:
                    process.send(number)
            await wait_ended(found, seconds)
    return count


async def kill_all(data: Path) -> bool:
    """Kill a server with all of its processes; frozen ones do not notice that it has ended.

    Nothing that was confirmed is lost: the next start recovers it from the log.

    :return: whether they have ended. Cancellation leaves them with their signals.
    """
    with processes_of(data) as found:
        # The postmaster first: it replaces processes that die.
        for process in sorted(found, key=lambda process: not process.is_postmaster):
            process.send(signal.SIGKILL)
        return await wait_ended(found, _KILL_TIMEOUT)


def _runs_in(data: Path, pid: str) -> bool:
    """Return whether a process is called postgres and has ``data`` as its working directory."""
    try:
        if Path("/proc", pid, "comm").read_text().strip() != "postgres":
            return False
        try:
            return os.path.samefile(f"/proc/{pid}/cwd", data)
        except PermissionError:
            return _was_started_on(data, pid)
    except OSError:
        return False


def _was_started_on(data: Path, pid: str) -> bool:
    """Return whether it is a postmaster of ``data``, if its working directory cannot be read.

    Root without CAP_SYS_PTRACE, as in most containers, cannot read it.
    """
    if os.stat(f"/proc/{pid}").st_uid != data.stat().st_uid:
        return False
    arguments = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
    return (b"-D", os.fsencode(data)) in pairwise(arguments)


def _is_postmaster(pid: str) -> bool:
    """Return whether it is a postmaster, with its arguments: a backend renames itself."""
    try:
        arguments = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return arguments[0].endswith(b"postgres") and b"-D" in arguments
