"""The right to serve a database: one server at a time, by a lock that dies with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio

from gbs_actor.store.postgres.bridge import ConnectionLost, NotConnected, ServerRefused, Session
from gbs_actor.store.postgres.pool import connect_patiently
from gbs_actor.store.protocol import StoreError, StoreUnavailable

LOCK_KEY = 0x6762_735F_6163_746F
"""Of the advisory lock, which is per database; "gbs_acto" in ASCII."""

_POLL = 0.1
_HEARTBEAT = 10.0
_TRY = "SELECT pg_try_advisory_lock($1) AS locked"

_log = structlog.get_logger(__name__)


class DatabaseInUse(StoreError):
    """Another server serves this database."""


class Lease:
    """An advisory lock on a session of its own.

    The lock ends with its session, so that it never outlives the server. If the session
    is lost while the server lives, :meth:`keep` takes the lock again.

    :param connect: makes a session until a deadline, or raises :exc:`NotConnected`.
    :param timeout: seconds that one question to the database may take.
    """

    def __init__(self, connect: Callable[[float], Awaitable[Session]], *, timeout: float) -> None:
        self._connect = connect
        self._timeout = timeout
        self._session: Session | None = None
        self._taken = trio.Event()
        self._retaken = 0
        self._retaken_changed = trio.lowlevel.ParkingLot()

    @property
    def held(self) -> bool:
        """Whether the lock is held, as far as is known."""
        return self._session is not None and not self._session.lost.is_set()

    async def wait_held(self, deadline: float) -> None:
        """Wait until the lock is held.

        :param deadline: in Trio's time.
        :raises StoreUnavailable: until then it is not.
        """
        while not self.held:
            with trio.CancelScope(deadline=deadline) as scope:
                await self._taken.wait()
            if scope.cancelled_caught:
                raise StoreUnavailable("the database is not reachable, or another server has it")
            await trio.lowlevel.checkpoint()

    async def wait_retaken(self, seen: int) -> int:
        """Wait until the lock was lost and taken again more than ``seen`` times.

        :returns: how often it was.
        """
        while self._retaken <= seen:
            await self._retaken_changed.park()
        return self._retaken

    async def take(self, patience: float) -> None:
        """Take the lock for the first time.

        :param patience: seconds to wait for another holder: a server that was just killed
            may keep its session for a moment.
        :raises DatabaseInUse: somebody else keeps it.
        :raises StoreUnavailable: the database cannot be reached.
        """
        deadline = trio.current_time() + self._timeout
        session = await connect_patiently(self._connect, deadline)
        try:
            if not await self._try(session, trio.current_time() + patience):
                raise DatabaseInUse(
                    "another server is already serving this database; stop it first"
                )
            self._adopt(session)
        except (ConnectionLost, ServerRefused) as error:
            raise StoreUnavailable(f"the database cannot be reached: {error}") from None
        finally:
            if self._session is not session:
                session.terminate()

    async def keep(self) -> None:
        """Watch the lock's session, and take the lock again whenever it was lost.

        Runs until cancelled.
        """
        while True:
            if (session := self._session) is not None:
                await self._watch(session)
                session.terminate()
                self._session = None
                self._taken = trio.Event()
                _log.warning("the lock on the database is lost; taking it again")
            await self._retake()

    async def release(self, *, deadline: float) -> None:
        """Close the session, which frees the lock for the next server."""
        session, self._session = self._session, None
        if session is not None:
            await session.close(deadline=deadline)

    def _adopt(self, session: Session) -> None:
        self._session = session
        self._taken.set()

    async def _watch(self, session: Session) -> None:
        """Return when the session has ended, or no longer answers."""
        while not session.lost.is_set():
            with trio.move_on_after(_HEARTBEAT):
                await session.lost.wait()
                return
            try:
                await session.fetch("SELECT 1", deadline=trio.current_time() + self._timeout)
            except (ConnectionLost, ServerRefused):
                return

    async def _retake(self) -> None:
        pause = 0.02
        while True:
            session = None
            try:
                session = await self._connect(trio.current_time() + self._timeout)
                if await self._try(session, trio.current_time() + self._timeout):
                    self._adopt(session)
                    self._retaken += 1
                    self._retaken_changed.unpark_all()
                    _log.info("the lock on the database is held again")
                    return
                _log.error("another server is serving this database now")
            except (NotConnected, ConnectionLost, ServerRefused):
                pass  # told by the calls that fail meanwhile
            finally:
                if session is not None and self._session is not session:
                    session.terminate()
            await trio.sleep(pause)
            pause = min(2 * pause, 1.0)

    async def _try(self, session: Session, deadline: float) -> bool:
        """Ask for the lock until the deadline, at least once; return whether we got it."""
        while True:
            answer_by = trio.current_time() + self._timeout
            if (await session.fetch(_TRY, LOCK_KEY, deadline=answer_by))[0]["locked"]:
                return True
            if trio.current_time() + _POLL > deadline:
                return False
            await trio.sleep(_POLL)
