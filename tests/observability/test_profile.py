"""Profiles of the event loop."""

from __future__ import annotations

import time

import pytest
import trio

from gbs_actor.observability import LoopProfiler, ProfileRunning


def instruments() -> int:
    return len(trio._core._run.GLOBAL_RUN_CONTEXT.runner.instruments["_all"])


async def hog() -> None:
    while True:
        await trio.sleep(0.01)
        time.sleep(0.02)  # noqa: ASYNC251  (what is to be found)


async def test_the_slowest_steps_are_found_with_their_places() -> None:
    before = instruments()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hog, name="room 2024-winter")
        profile = await LoopProfiler().profile(0.3)
        nursery.cancel_scope.cancel()
    slowest = profile.slowest[0]
    assert slowest.task == "room 2024-winter"
    assert slowest.seconds >= 0.02
    assert any("test_profile" in place and place.endswith("hog") for place in slowest.began_at)
    assert any("trio" in place for place in slowest.ended_at)
    times = [step.seconds for step in profile.slowest]
    assert times == sorted(times, reverse=True)
    assert profile.kinds[0].kind == "room"
    assert profile.kinds[0].steps <= profile.steps
    assert 0.3 < profile.busy <= 1.0
    assert profile.steps_per_second == pytest.approx(profile.steps / profile.seconds)
    assert instruments() == before


async def test_an_idle_loop_is_not_busy() -> None:
    # Unless the process itself was kept waiting in the middle of a step.
    assert min([(await LoopProfiler().profile(0.2)).busy for _ in range(3)]) < 0.3


async def test_one_at_a_time_and_a_cancelled_one_leaves_nothing_behind() -> None:
    profiler, before = LoopProfiler(), instruments()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(profiler.profile, 100)
        await trio.testing.wait_all_tasks_blocked()
        assert instruments() == before + 1
        with pytest.raises(ProfileRunning):
            await profiler.profile(0.01)
        nursery.cancel_scope.cancel()
    assert (profiler.running, instruments()) == (False, before)
    await profiler.profile(0.01)
