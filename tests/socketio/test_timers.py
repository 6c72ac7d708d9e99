"""Many deadlines, one task."""

from __future__ import annotations

import logging

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.socketio.channel.timers import Timers


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
def test_cancelled_timers_do_not_pile_up(kept: int, cancelled: int) -> None:
    timers = Timers()
    for _ in range(kept):
        timers.call_at(1.0, lambda: None)
    for _ in range(cancelled):
        timers.call_at(2.0, lambda: None).cancel()
    assert len(timers) == kept
    assert timers.allocated <= kept + 1_025
