"""The lock of one retreat in a memory store."""

from __future__ import annotations

import trio

from gbs_actor.store.protocol import LOCK_TIMEOUT


class Hold:
    """One possession of a lock: from when it was acquired until it is released or times out."""

    def __init__(self) -> None:
        self._until = trio.current_time() + LOCK_TIMEOUT
        self._released = trio.Event()

    @property
    def ended(self) -> bool:
        """Whether others may have the lock."""
        return self._released.is_set() or trio.current_time() >= self._until

    def release(self) -> None:
        """Let the next one have the lock; a second time it does nothing."""
        self._released.set()

    async def wait_ended(self) -> None:
        """Wait until it is released or times out."""
        with trio.move_on_at(self._until):
            await self._released.wait()


class RetreatLock:
    """A lock that its holder loses after :data:`~gbs_actor.store.protocol.LOCK_TIMEOUT`; fair."""

    def __init__(self) -> None:
        self._queue = trio.Lock()
        self._hold: Hold | None = None

    @property
    def held(self) -> bool:
        """Whether somebody has it."""
        return self._hold is not None and not self._hold.ended

    async def acquire(self) -> Hold:
        """Wait for the lock and take it; a cancelled call has no effect."""
        async with self._queue:
            await self._wait_ended()
            hold = self._hold = Hold()
            return hold

    async def wait_free(self) -> None:
        """Wait until nobody holds the lock, behind all that wait already.

        A free lock costs no checkpoint. None lies between its release and the return either, so
        that what the caller does next, up to a checkpoint of its own, is done while it is free.
        """
        if self._queue.locked() or self.held:
            async with self._queue:
                await self._wait_ended()

    async def _wait_ended(self) -> None:
        if self._hold is not None and not self._hold.ended:
            await self._hold.wait_ended()
