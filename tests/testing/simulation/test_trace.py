"""One plan, one run: the same in any process, at any time, whatever the hashes of strings are."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from gbs_actor.testing.simulation import PROFILES, simulate
from gbs_actor.testing.simulation.checker import Violation
from gbs_actor.testing.simulation.history import (
    Answered,
    Event,
    NodeCommitted,
    NodeDisturbed,
    Quiet,
)

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
    answered = next(
        index
        for index, moment in enumerate(trace.history.moments)
        if isinstance(moment.event, Answered)
    )
    assert "is answered: {" in lines[answered]
    assert any(" has connection 1 (user 101" in line for line in lines)


def test_a_violation_is_shown_behind_its_moment() -> None:
    trace = simulate(0)
    violations = [Violation("some-rule", 3, "it is wrong"), Violation("whole", 10**6, "all is")]
    lines = list(trace.lines(violations))
    assert [line.index for line in lines[:6]] == [0, 1, 2, 3, 3, 4]
    assert str(lines[4]).split() == ["!" * 8, "some-rule:", "it", "is", "wrong"]
    assert lines[-1].what == "whole: all is"


def test_every_kind_of_event_is_a_line_and_an_object() -> None:
    kinds: set[type[Event]] = set()
    traces = [simulate(seed) for seed in range(60)]
    traces += [simulate(seed, profile="rights", layer="server") for seed in range(6)]
    traces += [simulate(seed, profile="nodes", layer="nodes") for seed in range(4)]
    for trace in traces:
        kinds |= {type(moment.event) for moment in trace.history.moments}
        assert all(line.who and line.what for line in trace.lines())
        records = [msgspec.json.decode(record) for record in trace.records()]
        assert [each["index"] for each in records] == list(range(len(trace.history.moments)))
    assert kinds == {*get_args(Event), NodeCommitted, NodeDisturbed}
