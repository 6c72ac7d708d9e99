"""A PostgreSQL server as a child process: started in the foreground, read from, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import deque
from typing import Any, Final

import structlog
import trio

from gbs_actor.store.embedded.binaries import Installation
from gbs_actor.store.embedded.data_folder import DataFolder
from gbs_actor.store.embedded.os_account import Account
from gbs_actor.store.protocol import StoreError

_QUIT_TIMEOUT: Final = 1.0
"""Seconds for an immediate shutdown."""
_ENVIRONMENT: Final = {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C"}
"""Not inherited: PGDATA, PGPORT and the like would change what is started."""

_log = structlog.get_logger(__name__)


class EmbeddedPostgresError(StoreError):
    """The embedded PostgreSQL does not start, or does not stay up."""


class ChildServer:
    """A postmaster that we started, and the last lines of its log."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self._process = process
        self._output = output
        self._pidfd = os.pidfd_open(process.pid)
        self.last_lines: deque[str] = deque(maxlen=20)

    @classmethod
    def start(cls, account: Account, installation: Installation, folder: DataFolder) -> ChildServer:
        """Start ``postgres`` in the foreground.

        Not through Trio's own function, which starts processes from a worker thread: the
        kernel sends the parent-death signal when the *thread* ends that started it, and
        worker threads end when they idle.

        :raises EmbeddedPostgresError: the program cannot be run.
        :raises OSError: there are too few descriptors.
        """
        setpriv = shutil.which("setpriv")
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(folder.sockets),
            "unix_socket_permissions": "0700",
            "hba_file": str(folder.access_rules),
            "ident_file": str(folder.account_map),
            "log_destination": "stderr",
            "logging_collector": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "100",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
        }
        output, child_output = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603  (the program is ours, its arguments too)
                [
                    *([setpriv, "--pdeathsig", "INT", "--"] if setpriv else []),
                    str(installation.program("postgres")),
                    *("-D", str(folder.data)),
                    *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=child_output,
                stderr=child_output,
                **process_options(account),
            )
        except OSError as error:
            os.close(output)
            raise EmbeddedPostgresError(
                f"{installation.program('postgres')} cannot be run ({error.strerror})"
            ) from None
        finally:
            os.close(child_output)
        try:
            return cls(process, output)
        except OSError:
            process.kill()
            process.wait()
            os.close(output)
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for its end and return its exit code; may be cancelled and called again."""
        while (code := self._process.poll()) is None:
            await trio.lowlevel.wait_readable(self._pidfd)
        return code

    async def read_output(self) -> None:
        """Read its log until it ends, so that it never blocks on a full pipe."""
        async with trio.lowlevel.FdStream(self._output) as stream:
            rest = b""
            async for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                rest = rest[-4096:]
                for line in lines:
                    self._log_line(line.decode(errors="replace"))

    def _log_line(self, line: str) -> None:
        self.last_lines.append(line)
        grave = any(f" {word}: " in line for word in ("PANIC", "FATAL", "WARNING"))
        _log.log(30 if grave else 10, "postgres", line=line)

    async def stop(self, grace: float) -> bool:
        """Shut it down: first orderly, then immediately.

        :param grace: seconds for the orderly shutdown.
        :return: whether it has ended.
        """
        for number, seconds in ((signal.SIGINT, grace), (signal.SIGQUIT, _QUIT_TIMEOUT)):
            if self._process.poll() is None:
                signal.pidfd_send_signal(self._pidfd, number)
            with trio.move_on_after(seconds):
                await self.wait()
                return True
        return False

    def close(self) -> None:
        """Close the pidfd; the output is closed by the task that reads it."""
        os.close(self._pidfd)


def process_options(account: Account) -> dict[str, Any]:
    """Return the options that run a process as ``account``, with nothing inherited."""
    options: dict[str, Any] = {"env": _ENVIRONMENT, "cwd": "/", "umask": 0o077}
    options["start_new_session"] = True  # Ctrl-C must reach only the server, which then stops them
    if not account.is_ours:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options
