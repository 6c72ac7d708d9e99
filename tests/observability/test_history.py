"""The server's last hour, on a clock that is turned by hand."""

from __future__ import annotations

from itertools import count

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.concurrency import background
from gbs_actor.observability.history import INTERVAL, POINTS, SERIES, History, Sample

START = 1_700_000_000.0


def counting() -> History:
    """A history whose samples have the numbers 0, 1, 2, …"""
    numbers = count()
    return History(lambda: Sample(rooms=next(numbers)), now=lambda: START + trio.current_time())


async def test_a_sample_is_taken_at_the_start_and_in_each_interval(
    autojump_clock: MockClock,
) -> None:
    history = counting()
    async with background(history.run):
        await trio.sleep(3.5 * INTERVAL)
    shown = history.statistics()
    assert list(shown.series["rooms"]) == [0, 1, 2, 3]
    assert shown.interval == INTERVAL
    assert shown.until == START + 3 * INTERVAL
    assert {len(values) for values in shown.series.values()} == {4}


async def test_it_keeps_an_hour(autojump_clock: MockClock) -> None:
    history = counting()
    async with background(history.run):
        await trio.sleep((POINTS + 10.5) * INTERVAL)
    assert history.statistics().series["rooms"] == tuple(range(11, POINTS + 11))
    assert POINTS * INTERVAL == 3600


async def test_what_a_stall_has_skipped_is_empty(mock_clock: MockClock) -> None:
    history = counting()
    async with background(history.run):
        await wait_all_tasks_blocked()
        mock_clock.jump(4.5 * INTERVAL)  # nothing runs meanwhile
        await wait_all_tasks_blocked()
        mock_clock.jump(0.5 * INTERVAL)
        await wait_all_tasks_blocked()
    assert list(history.statistics().series["rooms"]) == [0, None, None, None, 1, 2]


async def test_after_a_very_long_stall_it_goes_on(mock_clock: MockClock) -> None:
    history = counting()
    async with background(history.run):
        await wait_all_tasks_blocked()
        mock_clock.jump(1e6 * INTERVAL)
        await wait_all_tasks_blocked()
    rooms = history.statistics().series["rooms"]
    assert (len(rooms), rooms[-1], set(rooms[:-1])) == (POINTS, 1, {None})


async def test_before_the_first_sample_there_is_nothing() -> None:
    shown = counting().statistics()
    assert set(shown.series) == set(SERIES)
    assert set(shown.series.values()) == {()}


def test_the_series_are_those_of_the_description() -> None:
    assert set(SERIES) == {
        "connections",
        "rooms",
        "editsPerSecond",
        "ackP50",
        "ackP95",
        "ackP99",
        "commitP99",
        "loopLagP99",
        "restarts",
        "databaseBusy",
        "databaseWaiting",
        "memory",
    }
