"""An embedded PostgreSQL: a child process of the server, with nothing to install."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import structlog
import trio

from gbs_actor.concurrency import Backoff, background
from gbs_actor.store.embedded.binaries import Installation, find_installation
from gbs_actor.store.embedded.child import ChildServer, EmbeddedPostgresError, process_options
from gbs_actor.store.embedded.data_folder import ROLE, DataFolder
from gbs_actor.store.embedded.os_account import Account, postgres_account
from gbs_actor.store.embedded.postmaster import (
    is_ready,
    kill_all,
    processes_of,
    stop_leftovers,
    wait_ended,
)

DATABASE = "postgres"
"""The database that ``initdb`` creates for use by default."""

_READY_POLL: Final = 0.02
_LEAST_GRACE: Final = 2.0
"""Minimum of seconds for an orderly stop, even if the caller has less time."""
_RESTART: Final = Backoff(initial=0.1, maximum=2.0)

_Start = Callable[[float], Awaitable[ChildServer]]

_log = structlog.get_logger(__name__)


class EmbeddedStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An embedded PostgreSQL at one moment."""

    pid: int | None
    """The postmaster's process id; ``None`` while there is none."""
    ready: bool
    """Whether it accepts connections."""
    starts: int
    """How often it has become ready."""
    failures: int
    """How often it has ended by itself."""


class EmbeddedPostgres:
    """A PostgreSQL server as a child process, in a folder of its own.

    It listens only on a Unix socket, in a folder that only its account may enter, and accepts
    only the account that this process runs as.

    :param folder: for its data and nothing else.
    :param start_timeout: seconds that the first start gets, recovery included.
    :param restart_timeout: seconds after a failure to become ready again; by default it is
        tried for as long as it takes: a full disk, or a lack of descriptors, may end. (After a
        kill with busy backends 0.6 to 6.2 s are normal.)
    :param stop_timeout: seconds for an orderly stop, if the caller has no earlier
        deadline.
    :param site: where to look for the package with the programs; default: Python's path.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start_timeout: float = 120.0,
        restart_timeout: float = inf,
        stop_timeout: float = 30.0,
        site: Path | None = None,
    ) -> None:
        self._folder = DataFolder(folder.absolute())
        self._start_timeout = start_timeout
        self._restart_timeout = restart_timeout
        self._stop_timeout = stop_timeout
        self._site = site
        self._child: ChildServer | None = None
        self._ready = False
        self._starts = 0
        self._failures = 0

    @property
    def dsn(self) -> str:
        """The address to connect to; it contains no secret."""
        host = quote(str(self._folder.sockets), safe="")
        # What is missing here, the driver would read from PGPORT, PGSSLMODE and the like.
        return (
            f"postgresql://{ROLE}@/{DATABASE}?host={host}&port=5432&sslmode=disable"
            "&target_session_attrs=any"
        )

    def statistics(self) -> EmbeddedStatistics:
        """Return counters; never blocks."""
        return EmbeddedStatistics(
            pid=None if self._child is None else self._child.pid,
            ready=self._ready,
            starts=self._starts,
            failures=self._failures,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Run PostgreSQL within the block; the value is its DSN.

        It is ready when the block begins, is restarted if it ends, and has ended when the block
        has, cancelled or not. If this process is killed, the kernel stops PostgreSQL; the next
        start stops processes that remain nevertheless.

        :raises DirectoryInUse: another server runs on this folder.
        :raises UnsuitableFolder: the folder cannot be used.
        :raises NoAccount: there is no account PostgreSQL could run as.
        :raises BinariesMissing: its programs are not installed.
        :raises EmbeddedPostgresError: it does not start, or does not restart after a failure.
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
                    start = partial(self._start, readers, account, installation)
                    child = await start(self._start_timeout)
                    async with background(partial(self._keep, child, start)):
                        yield self.dsn
                except Exception as error:  # noqa: BLE001  (raised below, not as a group)
                    failure = error
                finally:
                    await self._stop()
        if failure is not None:
            raise failure

    async def _prepare(self) -> tuple[Account, Installation]:
        """Find account and programs, and create the data directory if there is none."""
        folder = self._folder
        account = await postgres_account(folder.data)
        folder.prepare(account)
        folder.remove_unfinished()
        version_file = folder.data / "PG_VERSION"
        version = int(version_file.read_text()) if folder.data.exists() else None
        installation = find_installation(major_version=version, site=self._site)
        if not installation.usable_by(account):
            size = installation.program("postgres").stat().st_size
            target = folder.base / f"binaries-{installation.major_version}-{size:x}"
            installation = await trio.to_thread.run_sync(installation.copy_to, target)
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
            **process_options(account),
        )
        if result.returncode != 0:
            raise EmbeddedPostgresError(
                f"initdb failed: {result.stderr.decode(errors='replace').strip()}"
            )

    async def _start(
        self,
        readers: trio.Nursery,
        account: Account,
        installation: Installation,
        longest_wait: float,
    ) -> ChildServer:
        """Start PostgreSQL and wait until it is ready, trying again with back-off.

        :raises EmbeddedPostgresError: it is not ready after ``longest_wait`` seconds, or it
            cannot be run, and never could.
        """
        lines: list[str] = []
        with trio.move_on_after(longest_wait):
            for pause in _RESTART.delays():
                try:
                    await stop_leftovers(self._folder.data)
                    self._folder.remove_stale_locks()
                    child = self._child = ChildServer.start(account, installation, self._folder)
                except (OSError, EmbeddedPostgresError) as error:
                    if not self._starts:
                        raise
                    lines = [str(error)]
                    _log.warning("postgres cannot be started now", reason=str(error))
                    await trio.sleep(pause)
                    continue
                readers.start_soon(child.read_output)
                while not is_ready(self._folder.data, child.pid):
                    with trio.move_on_after(_READY_POLL):
                        code = await child.wait()
                        break
                else:
                    self._ready = True
                    self._starts += 1
                    return child
                lines = list(child.last_lines)
                _log.warning("postgres ended while starting", code=code, lines=lines)
                self._remove(child)
                await trio.sleep(pause)
        reason = "; ".join(lines[-3:]) or "it logs nothing"
        raise EmbeddedPostgresError(
            f"PostgreSQL does not start within {longest_wait:g} s: {reason}"
        )

    async def _keep(self, child: ChildServer, start: _Start) -> None:
        """Start PostgreSQL again whenever it ends."""
        while True:
            code = await child.wait()
            self._ready = False
            self._failures += 1
            _log.error("postgres has ended by itself; starting it again", code=code)
            self._remove(child)
            child = await start(self._restart_timeout)

    async def _stop(self) -> None:
        """Stop PostgreSQL in any state, shielded from cancellation.

        It has until the caller's deadline for an orderly stop. One that does not stop, for
        instance because it is frozen, is killed: its log has every commit it has confirmed.

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
            self._remove(child)

    def _remove(self, child: ChildServer) -> None:
        child.close()
        self._child = None
