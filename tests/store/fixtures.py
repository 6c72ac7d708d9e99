"""One embedded PostgreSQL for a whole test run, with a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self, TypeVar

import trio

from gbs_actor.store.embedded.server import DATABASE, EmbeddedPostgres
from gbs_actor.store.postgres.connection import connect
from gbs_actor.store.postgres.migrate import migrate, shipped_migrations

T = TypeVar("T")

_TIMEOUT = 30.0
_TEMPLATE = "migrated"
_MEMORY = Path("/dev/shm")
_ENOUGH = 4 * 2**30
"""Bytes."""


@contextmanager
def public_temporary_folder() -> Iterator[Path]:
    """Make a folder that every account may pass, as PostgreSQL's has to, and remove it after.

    In memory where there is room, see :func:`memory`.
    """
    folder = Path(tempfile.mkdtemp(prefix="gbs-test-", dir=memory()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory() -> Path | None:
    """Return a folder in memory; ``None`` where there is no room.

    No test cuts the power, so that none can tell the difference, and a database that is made
    or dropped waits for the disk.
    """
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        free = shutil.disk_usage(_MEMORY).free
        return _MEMORY if free > _ENOUGH else None
    return None


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with its owners and permissions."""
    subprocess.run(["/bin/cp", "-a", str(source), str(target)], check=True)


class PostgresCluster:
    """An embedded PostgreSQL in a thread of its own, usable from any test.

    A thread, since fixtures that outlive a test cannot run in the test's own event loop.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="postgres-cluster")

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._stop.set)
        self._thread.join()

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address of one of the databases."""
        return self._embedded.dsn.replace(f"/{DATABASE}?", f"/{database}?")

    @contextmanager
    def fresh_database(self, *, migrated: bool = True) -> Iterator[str]:
        """Make a database for the time of a block; the value is its DSN."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.run_sql(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template0'}")
        try:
            yield self.dsn(name)
        finally:
            self.run_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def run_sql(self, sql: str, database: str = DATABASE) -> None:
        """Run a statement from outside of the program under test."""
        self._in_thread(lambda: self._run_sql(sql, database))

    def _in_thread(self, function: Callable[[], Awaitable[T]]) -> T:
        return trio.from_thread.run(function, trio_token=self._token)

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001  (raised in the thread that waits)
            self._failure = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        with public_temporary_folder() as folder:
            self._embedded = EmbeddedPostgres(folder / "postgres")
            async with self._embedded.running():
                await self._run_sql(f"CREATE DATABASE {_TEMPLATE} IS_TEMPLATE true", DATABASE)
                await self._migrate()
                self._started.set()
                await self._stop.wait()

    async def _migrate(self) -> None:
        deadline = trio.current_time() + _TIMEOUT
        connection = await connect(self.dsn(_TEMPLATE), deadline=deadline)
        await migrate(connection, shipped_migrations(), step_timeout=_TIMEOUT)
        await connection.close(deadline=deadline)

    async def _run_sql(self, sql: str, database: str) -> None:
        deadline = trio.current_time() + _TIMEOUT
        connection = await connect(self.dsn(database), deadline=deadline)
        try:
            await connection.execute(sql, deadline=deadline)
        finally:
            with trio.CancelScope(shield=True):
                await connection.close(deadline=deadline)
