"""Waits for locks that other programs hold: brief and repeated, so that nobody else waits long.

Whoever waits for a table's lock keeps everybody waiting who comes later. So a migration waits a
moment only, gives up, lets those others pass, and tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
import trio

from gbs_actor.concurrency import Backoff, background
from gbs_actor.store.postgres.connection import ConnectionLost, DbConnection, ServerRefused
from gbs_actor.store.protocol import StoreError

BESIDE_SERVERS: Final = 0.6
"""Seconds to wait for one lock while servers run: for as long, edits may wait, too."""
WITHOUT_SERVERS: Final = 2.0
"""Seconds to wait for one lock otherwise: longer than PostgreSQL's deadlock_timeout, at which an
autovacuum gives way."""

_PAUSES: Final = Backoff(initial=0.5, maximum=5.0)
_LOOK: Final = 0.1
"""Seconds between two looks at who is in the way."""
_LOOK_TIMEOUT: Final = 2.0
_IN_THE_WAY: Final = {"55P03", "40P01"}
"""Lock not available, deadlock."""

_BLOCKERS = """
SELECT blocker.pid, application_name, state, xact_start
    FROM unnest(pg_blocking_pids($1)) AS blocker (pid) LEFT JOIN pg_stat_activity USING (pid)
    ORDER BY xact_start
"""

_log = structlog.get_logger(__name__)


class LocksHeld(StoreError):
    """Another program did not release its locks in time."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A transaction that holds a lock."""

    pid: int
    """0: a prepared transaction."""
    application: str
    state: str | None
    """Such as "idle in transaction"; ``None``: the database does not say."""
    since: datetime | None

    def __str__(self) -> str:
        if self.pid == 0:
            return "a prepared transaction (see pg_prepared_xacts)"
        since = "" if self.since is None else f", since {self.since.astimezone():%Y-%m-%d %H:%M:%S}"
        state = "" if self.state is None else f", {self.state}"
        return f"pid {self.pid} ({self.application or 'unnamed'}{state}{since})"


class LockWaits:
    """Steps, each a transaction, that are tried again while other programs hold locks.

    :param observer: finds out who does, while ``connection`` waits; ``None``: nobody is named.
    :param lock_timeout: seconds to wait for one lock, in one try.
    :param longest_wait: seconds in all, over all steps.
    :param step_timeout: seconds that a step may take.
    """

    def __init__(
        self,
        connection: DbConnection,
        observer: DbConnection | None,
        *,
        lock_timeout: float,
        longest_wait: float,
        step_timeout: float,
    ) -> None:
        self._connection = connection
        self._lock_timeout = lock_timeout
        self._observer = observer
        self._pid = connection.pid
        self._longest_wait = longest_wait
        self._left = longest_wait
        self._step_timeout = step_timeout
        self._blockers: Sequence[Blocker] = ()

    async def run(self, name: str, step: Callable[[float], Awaitable[None]]) -> None:
        """Run a step in a transaction until it had all locks it needs.

        :param step: called with a deadline, perhaps repeatedly.
        :raises LocksHeld: it had not. It was rolled back.
        """
        for pause in _PAUSES.delays():
            began = trio.current_time()
            async with self._watched():
                if await self._done(step):
                    return
            self._left -= trio.current_time() - began + pause
            held = ", ".join(map(str, self._blockers)) or "not known by whom"
            if self._left < 0:
                raise LocksHeld(
                    f"{name} was rolled back: after {self._longest_wait:g} s other programs still "
                    f"hold locks it needs: {held}. Wait until they are done or end them (SELECT "
                    "pg_terminate_backend(pid)), and run it again"
                )
            _log.warning("waiting for locks of other programs", step=name, held_by=held)
            await trio.sleep(pause)

    async def _done(self, step: Callable[[float], Awaitable[None]]) -> bool:
        """Run a step in a transaction; return whether it had all locks."""
        deadline = trio.current_time() + self._step_timeout
        try:
            async with self._connection.transaction(
                deadline=deadline, commit_timeout=self._step_timeout
            ):
                limit = f"SET LOCAL lock_timeout = {round(1_000 * self._lock_timeout)}"
                await self._connection.execute(limit, deadline=deadline)
                await step(deadline)
        except ServerRefused as error:
            if error.sqlstate not in _IN_THE_WAY:
                raise
            return False
        return True

    def _watched(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._observer is None else background(self._watch)

    async def _watch(self) -> None:
        """Look who is in the way, again and again; keep whom was seen last."""
        observer = self._observer
        assert observer is not None
        while not observer.closed:
            try:
                with trio.CancelScope(shield=True):  # a cancelled query closes its connection
                    rows = await observer.fetch(
                        _BLOCKERS, self._pid, deadline=trio.current_time() + _LOOK_TIMEOUT
                    )
            except (ConnectionLost, ServerRefused):
                return  # the step itself is not concerned
            if rows:
                self._blockers = [
                    Blocker(
                        row["pid"], row["application_name"] or "", row["state"], row["xact_start"]
                    )
                    for row in rows
                ]
            await trio.sleep(_LOOK)
