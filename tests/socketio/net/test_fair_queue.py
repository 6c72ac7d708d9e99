"""Work begins piece by piece: in which order, and when."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import FairQueue
from gbs_actor.socketio.net.front_door.fair_queue import LONGEST_PAUSE, SHORT_PASS


class Computing:
    """A clock that shows how long each pass computes."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        """Of each look at the clock."""
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self.seconds
        return self._now


@asynccontextmanager
async def running(queue: FairQueue) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_keys_take_turns_however_many_one_has_queued(clock: MockClock) -> None:
    queue = FairQueue(Computing())
    order: list[str] = []

    async def work(key: str, name: str) -> None:
        await queue.turn(key)
        order.append(name)

    async with trio.open_nursery() as waiting:
        for number in range(5):
            waiting.start_soon(work, "flood", f"flood {number}")
            await wait_all_tasks_blocked()
        for key in ("a", "b"):
            waiting.start_soon(work, key, key)
            await wait_all_tasks_blocked()
        assert queue.statistics().waiting == 7
        async with running(queue):
            while queue.statistics().waiting:
                await trio.lowlevel.checkpoint()
    assert order.index("a") <= 2
    assert order.index("b") <= 3
    assert [name for name in order if name.startswith("flood")] == [f"flood {n}" for n in range(5)]
    assert queue.statistics().turns == 7


async def test_a_cancelled_turn_is_nobody_elses_loss(clock: MockClock) -> None:
    queue = FairQueue(Computing())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.turn, "a")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert queue.statistics().waiting == queue.statistics().keys == 0
    async with running(queue):
        await queue.turn("a")
        await queue.turn("b")


async def test_nothing_begins_while_passes_are_long_until_the_longest_pause(
    clock: MockClock,
) -> None:
    slow = Computing(SHORT_PASS * 2)
    queue = FairQueue(slow)
    turns: list[float] = []
    async with running(queue):
        for _ in range(3):
            await queue.turn("a")
            turns.append(slow())
    assert all(
        LONGEST_PAUSE < later - earlier < 2 * LONGEST_PAUSE
        for earlier, later in itertools.pairwise(turns)
    )
