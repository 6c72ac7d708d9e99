from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.testing.environment import START, SimWall, seeded_environment


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def test_the_wall_goes_with_trios_clock(clock: MockClock) -> None:
    clock.jump(5)
    wall = SimWall()
    assert wall() == START
    await trio.sleep(90)
    assert wall() == START + 90


async def test_it_is_advanced_apart_from_trios_clock(clock: MockClock) -> None:
    wall = SimWall(1000)
    wall.advance(60)
    assert (wall(), trio.current_time()) == (1060, 0)
    wall.advance(-100)
    await trio.sleep(1)
    assert wall() == 961


def test_made_outside_of_a_run_it_begins_with_the_run() -> None:
    wall = SimWall(1000)
    wall.advance(5)
    assert wall() == 1005

    async def read() -> float:
        first = wall()
        await trio.sleep(3)
        return wall() - first

    assert trio.run(read, clock=MockClock(autojump_threshold=0)) == 3


async def test_environments_of_one_seed_are_alike(clock: MockClock) -> None:
    one, same, other = seeded_environment(7), seeded_environment(7), seeded_environment(8)
    assert (one.now(), one.uuid()) == (same.now(), same.uuid())
    assert one.token(9) == same.token(9)
    assert seeded_environment(7).uuid() != other.uuid()


async def test_work_takes_no_time_in_it(clock: MockClock) -> None:
    environment = seeded_environment(1)
    began = environment.stopwatch(), environment.thread_time()
    await trio.sleep(1)
    assert (environment.stopwatch(), environment.thread_time()) == began
