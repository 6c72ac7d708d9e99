"""Where recoverable sessions are: known at once, and kept in the store soon after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from gbs_actor.store.protocol import CommitRefused, SessionLocation, Store, StoreError

logger = logging.getLogger(__name__)

FORGET_TIMEOUT: Final = 2.0
"""Seconds to wait for the store to have forgotten a place; then it is done without waiting."""
LAST_WRITE_TIMEOUT: Final = 1.0
"""Seconds for what the store has not been told yet at the end."""
PRUNE_INTERVAL: Final = 3_600.0
"""Seconds between two looks for places that are too old."""
MAX_OWED: Final = 20_000
"""Places the store may not have been told of yet; then the oldest of these are dropped."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class SessionLocations:
    """The places of all recoverable sessions.

    Nobody waits for the store where a session has come to a place: what is lost in a crash
    means a session that is not recovered. Where it has left one, that must be kept, lest
    its client be put into a room it is not in: :meth:`forget` waits.

    :param max_age: seconds after which a place is of no use any more.
    """

    def __init__(self, store: Store, max_age: float) -> None:
        self._store = store
        self._max_age = max_age
        self._owed: dict[str, SessionLocation | None] = {}
        """What the store has to be told still, by session; ``None``: to forget it."""
        self._in_hand: dict[str, SessionLocation | None] = {}
        """What it is being told."""
        self._news = trio.lowlevel.ParkingLot()
        self._progress = trio.lowlevel.ParkingLot()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell the store for the time of a block, and at its end what is left."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_on)
                nursery.start_soon(self._prune)
                yield
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(LAST_WRITE_TIMEOUT, shield=True):
                await self._write_last()

    def remember(self, sid: str, place: SessionLocation) -> None:
        """Note where a session is."""
        self._owe(sid, place)

    def forget_soon(self, sid: str) -> None:
        """Note that a session is nowhere, or has ended for good."""
        self._owe(sid, None)

    async def forget(self, sid: str) -> None:
        """Note that a session is nowhere, and wait for the store to know it.

        While the store cannot be reached, not for long: then it holds only as long as this
        process lives. The same if it is cancelled.
        """
        self._owe(sid, None)
        with trio.move_on_after(FORGET_TIMEOUT):
            while sid in self._owed or sid in self._in_hand:
                await self._progress.park()

    async def recall(self, sid: str) -> SessionLocation | None:
        """Return where a session is, if that is known.

        :raises StoreUnavailable: the store has to be asked and cannot be reached.
        """
        for untold in (self._owed, self._in_hand):
            if sid in untold:
                await trio.lowlevel.checkpoint()
                return untold[sid]
        return await self._store.find_session_location(sid)

    def _owe(self, sid: str, place: SessionLocation | None) -> None:
        self._owed.pop(sid, None)
        self._owed[sid] = place
        if len(self._owed) > MAX_OWED:
            del self._owed[next(iter(self._owed))]
        self._news.unpark_all()

    async def _write_on(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            if not self._owed:
                await self._news.park()
                continue
            try:
                await self._write()
                pause = _FIRST_PAUSE
            except StoreError as error:
                logger.debug("places of sessions are kept later: %s", error)
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _write(self) -> None:
        """Tell the store what it is owed; if that fails, it is owed still."""
        self._in_hand, self._owed = self._owed, {}
        settled = False
        try:
            await self._store.update_session_locations(self._in_hand)
            settled = True
        except CommitRefused as refused:
            settled = refused.data_error  # else it may be taken later: a lock, a full disk
            if not settled:
                raise
            logger.exception("places of %d sessions cannot be kept", len(self._in_hand))
        finally:
            if not settled:
                self._owed = {**self._in_hand, **self._owed}
            self._in_hand = {}
            self._progress.unpark_all()

    async def _write_last(self) -> None:
        try:
            if self._owed:
                await self._write()
        except StoreError as error:
            logger.warning("places of %d sessions are not kept: %s", len(self._owed), error)

    async def _prune(self) -> None:
        while True:
            try:
                pruned = await self._store.prune_session_locations(self._max_age)
                logger.debug("%d places of sessions were too old", pruned)
            except StoreError as error:
                logger.info("old places of sessions are looked for later: %s", error)
            await trio.sleep(PRUNE_INTERVAL)
