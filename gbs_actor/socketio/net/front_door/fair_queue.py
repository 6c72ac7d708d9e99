"""Lets work begin piece by piece: fair between keys, and only while the event loop is quick.

All tasks of a server share one thread, so what makes one wait is how many others are runnable.
A burst of requests that all begin at once makes every pass of the scheduler take seconds; those
that begin one by one leave it short, and take no longer altogether.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Final

import msgspec
import trio

from gbs_actor.environment import SYSTEM

SHORT_PASS: Final = 0.0005
"""Seconds of computing in a pass over all runnable tasks after which more work may begin."""
LONGEST_PAUSE: Final = 0.005
"""Seconds of computing after which a piece of work begins however long the passes are."""


class FairQueueStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """A fair queue at one moment, and counters since it was made."""

    waiting: int
    """Pieces of work that wait for their turn."""
    keys: int
    """Keys that they belong to."""
    turns: int
    """Pieces of work that have begun."""
    longest_wait: float
    """Seconds until a turn, the longest so far."""


class QueuedWork:
    """A piece of work that waits for its turn."""

    __slots__ = ("begin", "key", "since")

    def __init__(self, key: Hashable, begin: Callable[[], None]) -> None:
        self.key = key
        self.begin = begin
        self.since = trio.current_time()


class FairQueue:
    """Gives turns to pieces of work, one key after the other (round-robin).

    :meth:`run` has to run meanwhile. If nothing is queued it costs nothing.

    :param clock: returns the seconds that this thread has computed; what other processes take
        does not count.
    """

    def __init__(self, clock: Callable[[], float] = SYSTEM.thread_time) -> None:
        self._clock = clock
        self._queues: OrderedDict[Hashable, deque[QueuedWork]] = OrderedDict()
        self._waiting = self._turns = 0
        self._longest_wait = 0.0
        self._filled = trio.Event()

    def statistics(self) -> FairQueueStatistics:
        """Return its state and counters; never blocks."""
        return FairQueueStatistics(
            self._waiting, len(self._queues), self._turns, self._longest_wait
        )

    def queue(self, key: Hashable, begin: Callable[[], None]) -> QueuedWork:
        """Call ``begin`` when the next piece of work of this key may begin.

        Those of one key begin in the order of the calls.

        :param key: whose work it is, e.g. an IP address.
        :param begin: must neither block nor raise.
        """
        work = QueuedWork(key, begin)
        self._queues.setdefault(key, deque()).append(work)
        self._waiting += 1
        self._filled.set()
        return work

    def withdraw(self, work: QueuedWork) -> None:
        """Give up a place in the queue; the turn must not have come."""
        self._waiting -= 1
        queue = self._queues[work.key]
        queue.remove(work)
        if not queue:
            del self._queues[work.key]

    async def turn(self, key: Hashable) -> None:
        """Return when the next piece of work of this key may begin, as :meth:`queue` says.

        Cancelled, it gives up its place.
        """
        turn = trio.Event()
        work = self.queue(key, turn.set)
        try:
            await turn.wait()
        finally:
            if not turn.is_set():
                self.withdraw(work)

    async def run(self) -> None:
        """Give turns until cancelled."""
        last = before = self._clock()
        while True:
            if not self._queues:
                self._filled = trio.Event()
                await self._filled.wait()
                before = self._clock()
            await trio.lowlevel.checkpoint()
            now = self._clock()  # a call of the system
            if self._queues and (now - before < SHORT_PASS or now - last > LONGEST_PAUSE):
                last = now
                self._next()
            before = now

    def _next(self) -> None:
        key, queue = self._queues.popitem(last=False)
        work = queue.popleft()
        if queue:
            self._queues[key] = queue
        self._waiting -= 1
        self._turns += 1
        self._longest_wait = max(self._longest_wait, trio.current_time() - work.since)
        work.begin()
