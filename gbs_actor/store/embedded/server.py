"""An embedded PostgreSQL: a child process of the server, with nothing to install."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
import trio

from gbs_actor.concurrency import background
from gbs_actor.store.embedded.binaries import Installation, find_installation
from gbs_actor.store.embedded.data_folder import ROLE, DataFolder
from gbs_actor.store.embedded.os_account import Account, postgres_account
from gbs_actor.store.embedded.postmaster import (
    is_ready,
    kill_all,
    processes_of,
    stop_leftovers,
    wait_ended,
)
from gbs_actor.store.protocol import StoreError

DATABASE = "postgres"
"""The database that ``initdb`` creates for use by default."""

_READY_POLL = 0.02
_LEAST_GRACE = 2.0  # seconds for an orderly stop, however little time the caller has
_QUIT_GRACE = 1.0  # seconds for an immediate one
_ENVIRONMENT = {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C"}
"""Nothing of ours: PGDATA, PGPORT and the like would change what is started."""

_log = structlog.get_logger(__name__)


class EmbeddedPostgresError(StoreError):
    """The embedded PostgreSQL does not start, or does not stay up."""


@dataclass(frozen=True, slots=True)
class EmbeddedStatistics:
    """What an embedded PostgreSQL can tell of itself."""

    pid: int | None
    """The postmaster's process id; ``None`` while there is none."""
    ready: bool
    """Whether it accepts connections."""
    starts: int
    """How often it has become ready."""
    failures: int
    """How often it has ended without being asked to."""


class _Child:
    """A postmaster that we started, and what it last said."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self._process = process
        self._output = output
        self._pidfd = os.pidfd_open(process.pid)
        self.said: deque[str] = deque(maxlen=20)

    @property
    def pid(self) -> int:
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
                    self._note(line.decode(errors="replace"))

    def _note(self, line: str) -> None:
        self.said.append(line)
        grave = any(f" {word}: " in line for word in ("PANIC", "FATAL", "WARNING"))
        _log.log(30 if grave else 10, "postgres", line=line)

    async def stop(self, grace: float) -> bool:
        """Ask it to end, in good order and then at once.

        :param grace: seconds for the good order.
        :return: whether it has ended.
        """
        for number, patience in ((signal.SIGINT, grace), (signal.SIGQUIT, _QUIT_GRACE)):
            if self._process.poll() is None:
                signal.pidfd_send_signal(self._pidfd, number)
            with trio.move_on_after(patience):
                await self.wait()
                return True
        return False

    def close(self) -> None:
        """Give back the pidfd; the output is closed by who reads it."""
        os.close(self._pidfd)


class EmbeddedPostgres:
    """A PostgreSQL server of our own, in a folder of our own.

    It listens on a Unix socket only, in a folder that only its account may enter, and
    lets in only the account that this process runs as.

    :param folder: where its data is. It has to be a folder of its own.
    :param start_timeout: seconds that the first start gets, recovery included.
    :param restart_timeout: seconds after a failure to become ready again. (After a kill
        with busy backends 0.6 to 6.2 s are normal.)
    :param stop_timeout: seconds for an orderly stop, where the caller has no deadline that
        comes sooner.
    :param site: where to look for the package with the programs; default: Python's path.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start_timeout: float = 120.0,
        restart_timeout: float = 60.0,
        stop_timeout: float = 30.0,
        site: Path | None = None,
    ) -> None:
        self._folder = DataFolder(folder.absolute())
        self._start_timeout = start_timeout
        self._restart_timeout = restart_timeout
        self._stop_timeout = stop_timeout
        self._site = site
        self._child: _Child | None = None
        self._ready = False
        self._starts = 0
        self._failures = 0

    @property
    def dsn(self) -> str:
        """The address to connect to; it contains no secret."""
        host = quote(str(self._folder.sockets), safe="")
        # Whatever is not said here, the driver takes from PGPORT, PGSSLMODE and the like.
        return (
            f"postgresql://{ROLE}@/{DATABASE}?host={host}&port=5432&sslmode=disable"
            "&target_session_attrs=any"
        )

    def statistics(self) -> EmbeddedStatistics:
        """Return what is known without asking it; never blocks."""
        return EmbeddedStatistics(
            pid=None if self._child is None else self._child.pid,
            ready=self._ready,
            starts=self._starts,
            failures=self._failures,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Run PostgreSQL for the time of a block; the value is its DSN.

        It is ready when the block begins, is started again when it dies, and has ended
        when the block has, cancelled or not. If this process is killed, PostgreSQL is
        told to stop by the kernel; what remains nevertheless, the next start stops.

        :raises DirectoryInUse: another server runs on this folder.
        :raises UnsuitableFolder: the folder cannot be used.
        :raises NoAccount: there is no account PostgreSQL could run as.
        :raises BinariesMissing: its programs are not installed.
        :raises EmbeddedPostgresError: it does not start, or not again after a failure.
        """
        if sys.platform != "linux":
            raise EmbeddedPostgresError(
                "the embedded database runs on Linux only; set GBS_DATABASE_URL"
            )
        self._folder.create()
        failure: Exception | None = None
        with self._folder.held():
            async with trio.open_nursery() as readers:
                try:
                    account, installation = await self._prepare()
                    child = await self._start(readers, account, installation, self._start_timeout)
                    keep = partial(self._keep, child, readers, account, installation)
                    async with background(keep):
                        yield self.dsn
                except Exception as error:  # noqa: BLE001  (raised below, not as a group)
                    failure = error
                finally:
                    await self._stop()
        if failure is not None:
            raise failure

    async def _prepare(self) -> tuple[Account, Installation]:
        """Find account and programs, and create the data where there is none."""
        folder = self._folder
        account = await postgres_account(folder.data)
        folder.prepare(account)
        folder.remove_unfinished()
        version_file = folder.data / "PG_VERSION"
        version = int(version_file.read_text()) if folder.data.exists() else None
        installation = find_installation(major_version=version, site=self._site)
        if not installation.usable_by(account):
            size = installation.program("postgres").stat().st_size
            place = folder.base / f"binaries-{installation.major_version}-{size:x}"
            installation = await trio.to_thread.run_sync(installation.copy_to, place)
        if version is None:
            with folder.unfinished_data(account) as staging:
                await self._initdb(account, installation, staging)
        return account, installation

    async def _initdb(self, account: Account, installation: Installation, data: Path) -> None:
        result = await trio.run_process(
            [
                str(installation.program("initdb")),
                f"--pgdata={data}",
                f"--username={ROLE}",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--auth=peer",
                "--no-instructions",
            ],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
            **_process_options(account),
        )
        if result.returncode != 0:
            raise EmbeddedPostgresError(
                f"initdb failed: {result.stderr.decode(errors='replace').strip()}"
            )

    def _spawn(self, account: Account, installation: Installation) -> _Child:
        """Start ``postgres`` in the foreground.

        Not through Trio's own function, which starts processes from a worker thread: the
        kernel sends the parent-death signal when the *thread* ends that started it, and
        worker threads end when they idle.
        """
        setpriv = shutil.which("setpriv")
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self._folder.sockets),
            "unix_socket_permissions": "0700",
            "hba_file": str(self._folder.access_rules),
            "ident_file": str(self._folder.account_map),
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
                    *("-D", str(self._folder.data)),
                    *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=child_output,
                stderr=child_output,
                **_process_options(account),
            )
        except OSError as error:
            os.close(output)
            raise EmbeddedPostgresError(
                f"{installation.program('postgres')} cannot be run ({error.strerror})"
            ) from None
        finally:
            os.close(child_output)
        return _Child(process, output)

    async def _start(
        self, readers: trio.Nursery, account: Account, installation: Installation, patience: float
    ) -> _Child:
        """Start PostgreSQL and wait until it is ready, trying again with backoff."""
        pause = 0.1
        said: list[str] = []
        with trio.move_on_after(patience):
            while True:
                await stop_leftovers(self._folder.data)
                self._folder.remove_stale_locks()
                child = self._child = self._spawn(account, installation)
                readers.start_soon(child.read_output)
                while not is_ready(self._folder.data, child.pid):
                    with trio.move_on_after(_READY_POLL):
                        code = await child.wait()
                        break
                else:
                    self._ready = True
                    self._starts += 1
                    return child
                said = list(child.said)
                _log.warning("postgres ended while starting", code=code, said=said)
                self._forget(child)
                await trio.sleep(pause)
                pause = min(2 * pause, 2.0)
        reason = "; ".join(said[-3:]) or "it says nothing"
        raise EmbeddedPostgresError(f"PostgreSQL does not start within {patience:g} s: {reason}")

    async def _keep(
        self, child: _Child, readers: trio.Nursery, account: Account, installation: Installation
    ) -> None:
        """Start PostgreSQL again whenever it ends."""
        while True:
            code = await child.wait()
            self._ready = False
            self._failures += 1
            _log.error("postgres has ended by itself; starting it again", code=code)
            self._forget(child)
            child = await self._start(readers, account, installation, self._restart_timeout)

    async def _stop(self) -> None:
        """Stop PostgreSQL, whatever state it is in, shielded from cancellation.

        It has until the caller's deadline to end in good order. One that does not, say
        because it is frozen, is killed: whatever it has confirmed is safe in its log.

        :raises EmbeddedPostgresError: it cannot even be killed.
        """
        self._ready = False
        if (child := self._child) is None:
            return
        left = trio.current_effective_deadline() - trio.current_time()
        grace = max(_LEAST_GRACE, min(self._stop_timeout, left))
        try:
            with trio.CancelScope(shield=True):
                if not await child.stop(grace):
                    _log.warning("postgres does not stop; it is killed", after=round(grace, 1))
                    if not await kill_all(self._folder.data):
                        raise EmbeddedPostgresError(
                            f"PostgreSQL (pid {child.pid}) cannot be stopped"
                        )
                    await child.wait()
                with processes_of(self._folder.data) as found:
                    await wait_ended(found, 5.0)
        finally:
            self._forget(child)

    def _forget(self, child: _Child) -> None:
        child.close()
        self._child = None


def _process_options(account: Account) -> dict[str, Any]:
    """Return the options with which a process runs as ``account`` and knows nothing of us."""
    options: dict[str, Any] = {"env": _ENVIRONMENT, "cwd": "/", "umask": 0o077}
    options["start_new_session"] = True  # a Ctrl-C is for us; we end them in our own time
    if not account.is_ours:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options
