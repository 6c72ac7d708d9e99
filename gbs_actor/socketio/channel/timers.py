"""Deadlines of many connections, watched by one task.

A timer costs a heap entry and no task; a server with 10,000 connections has one task that
sleeps until the earliest of them. What need not be exact costs less: a :class:`TimerWheel` has one
timer for all the deadlines of a tick.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

import trio

logger = logging.getLogger(__name__)
_SPARE = 1_024  # cancelled entries that are not worth a clean-up

Item = TypeVar("Item")


class Deadline(Generic[Item]):
    """One entry of a :class:`DeadlineQueue`."""

    __slots__ = ("_queue", "item", "when")

    def __init__(self, queue: DeadlineQueue[Item], when: float, item: Item) -> None:
        self._queue = queue
        self.when = when
        self.item: Item | None = item
        """``None`` once the deadline was cancelled, or has passed."""

    def cancel(self) -> None:
        """Take the entry out of its queue; does nothing if it has passed."""
        if self.item is not None:
            self.item = None
            self._queue.note_cancelled()


class DeadlineQueue(Generic[Item]):
    """Items ordered by deadline, on a clock of the caller's.

    A heap. Cancelling is cheap: a cancelled entry, which holds its item no longer, stays until
    it comes to the top or most of the heap is cancelled.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline[Item]]] = []
        self._count = count()
        self._cancelled = 0

    def __len__(self) -> int:
        """Return how many deadlines are pending."""
        return len(self._heap) - self._cancelled

    @property
    def allocated(self) -> int:
        """How many heap entries there are, cancelled ones included."""
        return len(self._heap)

    @property
    def earliest(self) -> float:
        """When the next deadline passes; infinity if there is none."""
        heap = self._heap
        while heap and heap[0][2].item is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else math.inf

    def add(self, when: float, item: Item) -> Deadline[Item]:
        """Add an item; of those with the same deadline the first one added comes first."""
        deadline = Deadline(self, when, item)
        heappush(self._heap, (when, next(self._count), deadline))
        return deadline

    def pop_due(self, now: float) -> Iterator[Item]:
        """Yield the items whose deadlines have passed, in order, each removed just before.

        So deadlines may be added and cancelled meanwhile.
        """
        while self.earliest <= now:
            deadline = heappop(self._heap)[2]
            item, deadline.item = deadline.item, None
            assert item is not None
            yield item

    def note_cancelled(self) -> None:
        """Count a cancelled entry; remove such entries once they are most of the heap."""
        self._cancelled += 1
        if self._cancelled > _SPARE and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].item is not None]
            heapify(self._heap)
            self._cancelled = 0


Timer = Deadline[Callable[[], None]]
"""One call in the future."""


class Timers:
    """Calls functions at their times, from one task."""

    def __init__(self) -> None:
        self._queue: DeadlineQueue[Callable[[], None]] = DeadlineQueue()
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        """Return how many timers are pending."""
        return len(self._queue)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once at ``when``.

        :param when: seconds on Trio's clock; in the past means as soon as possible.
        :param callback: must not block; an exception is logged.
        """
        timer = self._queue.add(when, callback)
        if self._sleep is not None and when < self._sleep.deadline:
            self._sleep.deadline = when
        return timer

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            self._fire()
            with trio.CancelScope(deadline=self._queue.earliest) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None

    def _fire(self) -> None:
        # Not in run: its frame would keep the last callback, and its connection, in memory.
        for callback in self._queue.pop_due(trio.current_time()):
            try:
                callback()
            except Exception:
                logger.exception("a timer's callback failed")


class Tick(Generic[Item]):
    """The items of a :class:`TimerWheel` that come together."""

    __slots__ = ("begin", "items", "timer")

    def __init__(self, begin: float, timer: Timer) -> None:
        self.begin = begin
        self.timer = timer
        self.items: dict[Item, None] = {}


class TimerWheel(Generic[Item]):
    """Deadlines that may be met a little early, all those of a tick at the first of them.

    So 10,000 pings of an interval of 25 s go out in 100 loops. A deadline without any other near
    it is met exactly, as is one that is less than a tick away when it is added: so an item that
    came early, and must not, can be added again, and will not come early with others once more.

    :param timers: of the ticks.
    :param tick: seconds that a deadline is met early at most.
    :param on_due: called with an item; must not block. An exception is logged.
    """

    def __init__(self, timers: Timers, tick: float, on_due: Callable[[Item], None]) -> None:
        self._timers = timers
        self.tick = tick
        """See the class."""
        self._on_due = on_due
        self._ticks: dict[float, Tick[Item]] = {}

    def __len__(self) -> int:
        """Return how many deadlines are pending."""
        return sum(len(tick.items) for tick in self._ticks.values())

    def add(self, when: float, item: Item) -> Tick[Item]:
        """Add an item, which must not be in the wheel; return the tick that it is in.

        :param when: seconds on Trio's clock.
        """
        soon = when - trio.current_time() < self.tick
        begin = when if soon else when - when % self.tick
        tick = self._ticks.get(begin)
        if tick is None:
            tick = self._ticks[begin] = Tick(begin, self._timer(when, begin))
        elif when < tick.timer.when:
            tick.timer.cancel()
            tick.timer = self._timer(when, begin)
        tick.items[item] = None
        return tick

    def remove(self, tick: Tick[Item], item: Item) -> None:
        """Take an item out. Does nothing if its tick has passed."""
        if tick.items.pop(item, False) is None and not tick.items:
            tick.timer.cancel()
            if self._ticks.get(tick.begin) is tick:
                del self._ticks[tick.begin]

    def _timer(self, when: float, begin: float) -> Timer:
        return self._timers.call_at(when, partial(self._pass, begin))

    def _pass(self, begin: float) -> None:
        items = self._ticks.pop(begin).items
        for item in list(items):
            if items.pop(item, False) is None:  # else it was taken out meanwhile
                try:
                    self._on_due(item)
                except Exception:
                    logger.exception("a timer's callback failed")
