"""Many deadlines, one task."""

from __future__ import annotations

import logging
import math
import sys
import weakref

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.socketio.channel.timers import DeadlineQueue, Tick, Timers, TimerWheel


async def test_timers_fire_at_their_times_in_order(clock: MockClock) -> None:
    timers = Timers()
    fired: list[tuple[str, float]] = []
    for name, when in (("b", 20.0), ("a", 10.0), ("c", 30.0)):
        timers.call_at(when, lambda name=name: fired.append((name, trio.current_time())))  # type: ignore[misc]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(40)
        nursery.cancel_scope.cancel()
    assert fired == [("a", 10.0), ("b", 20.0), ("c", 30.0)]


async def test_a_timer_set_while_the_task_sleeps_for_a_later_one_is_on_time(
    clock: MockClock,
) -> None:
    timers = Timers()
    fired: list[float] = []
    timers.call_at(100.0, lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(1)
        timers.call_at(5.0, lambda: fired.append(trio.current_time()))
        await trio.sleep(50)
        nursery.cancel_scope.cancel()
    assert fired == [5.0]


async def test_a_cancelled_timer_does_not_fire(clock: MockClock) -> None:
    timers = Timers()
    fired: list[int] = []
    timer = timers.call_at(5.0, lambda: fired.append(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(1)
        timer.cancel()
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert fired == []


async def test_a_failing_callback_is_logged_and_the_others_fire(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    timers = Timers()
    fired: list[int] = []
    timers.call_at(1.0, lambda: next(iter(())))
    timers.call_at(2.0, lambda: fired.append(2))
    with caplog.at_level(logging.ERROR):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            await trio.sleep(3)
            nursery.cancel_scope.cancel()
    assert fired == [2]
    assert "timer" in caplog.text


@given(kept=st.integers(0, 50), cancelled=st.integers(0, 5_000))
def test_cancelled_deadlines_do_not_pile_up(kept: int, cancelled: int) -> None:
    queue: DeadlineQueue[int] = DeadlineQueue()
    for number in range(kept):
        queue.add(1.0, number)
    for number in range(cancelled):
        queue.add(2.0, number).cancel()
    assert len(queue) == kept
    assert queue.allocated <= kept + 1_025


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans())))
def test_due_items_come_in_order_of_their_deadlines_and_of_arrival(
    entries: list[tuple[int, bool]],
) -> None:
    queue: DeadlineQueue[int] = DeadlineQueue()
    deadlines = [queue.add(when, number) for number, (when, _) in enumerate(entries)]
    for deadline, (_, cancelled) in zip(deadlines, entries, strict=True):
        if cancelled:
            deadline.cancel()
    left = sorted(
        (when, number) for number, (when, cancelled) in enumerate(entries) if not cancelled
    )
    assert queue.earliest == (left[0][0] if left else math.inf)
    assert list(queue.pop_due(4)) == [number for when, number in left if when <= 4]
    assert len(queue) == sum(when > 4 for when, _ in left)


def test_a_cancelled_deadline_keeps_nothing_alive() -> None:
    queue: DeadlineQueue[object] = DeadlineQueue()
    item = object()
    count = sys.getrefcount(item)
    deadline = queue.add(1.0, item)
    deadline.cancel()
    deadline.cancel()
    assert sys.getrefcount(item) == count
    assert len(queue) == 0


async def test_timers_keep_no_callback_alive_that_they_have_called(clock: MockClock) -> None:
    class Connection:
        def close(self) -> None:
            pass

    timers = Timers()
    connection = Connection()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        timers.call_at(trio.current_time() + 1, connection.close)
        await trio.sleep(2)
        ended = weakref.ref(connection)
        del connection
        assert ended() is None
        nursery.cancel_scope.cancel()


# Ticks


class Calls:
    """A wheel, and when it has called what."""

    def __init__(self, tick: float = 1.0) -> None:
        self.timers = Timers()
        self.wheel: TimerWheel[str] = TimerWheel(self.timers, tick, self._note)
        self.calls: list[tuple[str, float]] = []
        self.drop: list[tuple[Tick[str], str]] = []

    def _note(self, item: str) -> None:
        self.calls.append((item, trio.current_time()))
        if item == "fails":
            raise RuntimeError("a bug")
        for tick, other in self.drop:
            self.wheel.remove(tick, other)

    async def run(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.timers.run()


async def test_deadlines_of_one_tick_are_met_at_the_first_of_them(clock: MockClock) -> None:
    made = Calls()
    for when in (5.9, 5.2, 6.1, 5.5):
        made.wheel.add(when, str(when))
    await made.run(10)
    assert made.calls == [("5.9", 5.2), ("5.2", 5.2), ("5.5", 5.2), ("6.1", 6.1)]
    assert len(made.wheel) == len(made.timers) == 0


async def test_a_deadline_that_is_alone_is_met_exactly(clock: MockClock) -> None:
    made = Calls()
    made.wheel.add(5.9, "alone")
    await made.run(10)
    assert made.calls == [("alone", 5.9)]


async def test_a_deadline_that_is_removed_is_not_met_and_leaves_no_timer(clock: MockClock) -> None:
    made = Calls()
    first, second = made.wheel.add(5.0, "first"), made.wheel.add(5.5, "second")
    made.wheel.remove(first, "first")
    assert len(made.wheel) == 1
    made.wheel.remove(second, "second")
    made.wheel.remove(second, "second")
    assert len(made.timers) == 0
    await made.run(10)
    assert made.calls == []


async def test_a_deadline_that_another_one_of_its_tick_removes_is_not_met(
    clock: MockClock,
) -> None:
    made = Calls()
    made.wheel.add(5.0, "first")
    made.drop.append((made.wheel.add(5.5, "second"), "second"))
    await made.run(10)
    assert made.calls == [("first", 5.0)]


async def test_a_deadline_added_to_a_tick_that_passes_is_met(clock: MockClock) -> None:
    made = Calls()
    made.wheel.add(5.0, "first")
    with trio.move_on_after(5.1):
        await made.timers.run()
    made.wheel.add(5.5, "second")
    await made.run(10)
    assert made.calls == [("first", 5.0), ("second", 5.5)]


async def test_a_failure_is_logged_and_the_others_of_its_tick_are_met(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    made = Calls()
    made.wheel.add(5.0, "fails")
    made.wheel.add(5.1, "works")
    await made.run(10)
    assert [item for item, _ in made.calls] == ["fails", "works"]
    assert "timer" in caplog.text
