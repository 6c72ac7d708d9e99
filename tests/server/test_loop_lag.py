"""How late timers fire, measured."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.concurrency import background
from gbs_actor.observability import DURATION_BOUNDS
from gbs_actor.server.loop_lag import INTERVAL, LoopLag


async def test_a_loop_that_is_on_time_has_no_lag(autojump_clock: MockClock) -> None:
    lag = LoopLag()
    async with background(lag.run):
        await trio.sleep(10.05 * INTERVAL)
    assert lag.times.durations(trio.current_time()).count == 10
    assert lag.times.durations(trio.current_time()).longest < INTERVAL / 100


async def test_a_stall_counts_for_all_timers_that_it_delays(mock_clock: MockClock) -> None:
    lag = LoopLag()
    async with background(lag.run):
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(10.5 * INTERVAL)  # nothing runs meanwhile
        await trio.testing.wait_all_tasks_blocked()
        durations = lag.times.durations(trio.current_time())
    assert durations.count == 10
    assert durations.longest == pytest.approx(9.5 * INTERVAL, rel=1 / 3)
    assert durations.p50 == pytest.approx(4.5 * INTERVAL, rel=1 / 3)


async def test_after_a_long_stall_it_goes_on_at_once(mock_clock: MockClock) -> None:
    lag = LoopLag()
    async with background(lag.run):
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1e6)
        await trio.testing.wait_all_tasks_blocked()
        assert lag.times.durations(trio.current_time()).count <= DURATION_BOUNDS[-1] / INTERVAL + 2
        counted = lag.times.durations(trio.current_time()).count
        mock_clock.jump(INTERVAL)
        await trio.testing.wait_all_tasks_blocked()
        assert lag.times.durations(trio.current_time()).count == counted + 1
