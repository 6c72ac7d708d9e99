"""Steps of tasks are counted in calls of functions, the same in each run."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import trio

from gbs_actor.testing.scheduling import run
from gbs_actor.testing.simulation import simulate
from gbs_actor.testing.simulation.steps import LongStep, Steps


def called() -> None:
    pass


async def call(counts: Iterable[int]) -> None:
    for count in counts:
        for _ in range(count):
            called()
        await trio.lowlevel.checkpoint()


def longest_of(*counts: int) -> LongStep:
    steps = Steps()
    run(call, counts, seed=0, instruments=[steps])
    assert steps.longest is not None
    return steps.longest


def test_the_longest_step_between_two_checkpoints_is_found() -> None:
    longest = longest_of(10, 2_000, 30)
    assert 2_000 <= longest.calls < 2_050
    assert longest.most[0] == ("test_steps.called", 2_000)
    assert "2000 test_steps.called" in str(longest)


def test_many_short_steps_are_no_long_one() -> None:
    assert longest_of(*[300] * 20).calls < 350


def test_no_profile_function_is_left() -> None:
    longest_of(1)
    assert sys.getprofile() is None


def test_what_the_simulation_does_is_left_out() -> None:
    plain, counted = simulate(7), simulate(7, steps=True)
    assert plain.longest_step is None
    assert counted.longest_step is not None
    names = [name for name, _ in counted.longest_step.most]
    assert not any(name.startswith(("player.", "client.", "store.")) for name in names)


def test_what_is_counted_changes_nothing_and_is_the_same_each_time() -> None:
    first, second = simulate(7, steps=True), simulate(7, steps=True)
    assert first.hash == second.hash == simulate(7).hash
    assert first.longest_step == second.longest_step


def test_steps_of_the_whole_server_are_counted() -> None:
    longest = simulate(7, layer="server", steps=True).longest_step
    assert longest is not None
    assert longest.calls > 300
