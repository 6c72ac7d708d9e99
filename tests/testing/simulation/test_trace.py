"""One plan, one run: the same in any process, at any time, whatever the hashes of strings are."""

from __future__ import annotations

import pytest

from gbs_actor.testing.simulation import PROFILES, simulate
from gbs_actor.testing.simulation.history import Answered, Quiet

SEEDS = range(1_000, 1_012)


def test_a_later_run_of_a_process_is_as_the_first() -> None:
    first = simulate(42).hash
    for seed in range(100):
        simulate(seed)
    assert simulate(42).hash == first


def test_other_seeds_give_other_runs() -> None:
    assert len({simulate(seed).hash for seed in SEEDS}) == len(SEEDS)


def test_the_order_of_tasks_is_a_part_of_the_seed() -> None:
    plan = simulate(3).plan
    assert simulate(plan).hash == simulate(3).hash


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_runs(profile: str) -> None:
    trace = simulate(0, profile=profile)
    assert any(isinstance(moment.event, Quiet) for moment in trace.history.moments)


def test_a_trace_reads_step_by_step() -> None:
    trace = simulate(0)
    lines = str(trace).splitlines()
    assert len(lines) == len(trace.history.moments)
    assert any("Opened connection=1" in line for line in lines)
    answered = [
        index
        for index, moment in enumerate(trace.history.moments)
        if isinstance(moment.event, Answered)
    ]
    (line,) = trace.lines(answered[:1])
    assert "Answered invocation=" in line
