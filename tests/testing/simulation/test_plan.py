"""Plans: drawn from a seed alone, plain data, valid whatever is left out."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random
from typing import get_args

import pytest
from msgspec.structs import replace

from gbs_actor.contract.events import CommandEvent
from gbs_actor.testing.simulation import PROFILES, Plan, draw, simulate
from gbs_actor.testing.simulation.plan import Step, steps

DRAWN = [draw(seed) for seed in range(500)]
NETWORKED = {steps.Intrude, steps.Renew, steps.Grant, steps.SplitBytes, steps.Kick, steps.Violate}
"""The steps that need a network."""
OF_NODES = {steps.StartNode, steps.Freeze, steps.CutBus, steps.KeepAsking}
"""The steps that need several nodes."""


def test_a_plan_depends_on_seed_and_profile_alone() -> None:
    assert draw(7) == draw(7)
    assert len({draw(seed).json() for seed in range(50)}) == 50
    assert len({draw(7, profile).json() for profile in PROFILES}) == len(PROFILES)


def test_every_kind_of_step_is_drawn() -> None:
    kinds = Counter(type(step) for plan in DRAWN for step in plan.steps)
    assert kinds.keys() == set(get_args(Step)) - NETWORKED - OF_NODES
    assert min(kinds.values()) >= 20


def test_every_kind_of_step_is_drawn_where_there_is_a_network() -> None:
    plans = [draw(seed, networked=True) for seed in range(500)]
    kinds = Counter(type(step) for plan in plans for step in plan.steps)
    assert kinds.keys() == set(get_args(Step)) - OF_NODES
    assert min(kinds.values()) >= 20


def test_every_kind_of_step_is_drawn_where_there_are_several_nodes() -> None:
    plans = [draw(seed, "nodes", nodes=True) for seed in range(500)]
    kinds = Counter(type(step) for plan in plans for step in plan.steps)
    assert kinds.keys() == set(get_args(Step)) - NETWORKED - {steps.WriteElsewhere}
    assert min(kinds.values()) >= 20


def test_every_command_is_drawn() -> None:
    events = Counter(
        step.event for plan in DRAWN for step in plan.steps if isinstance(step, steps.Invoke)
    )
    assert events.keys() == set(CommandEvent)


def test_commands_have_everything_that_they_may_have() -> None:
    invoked = [step for plan in DRAWN for step in plan.steps if isinstance(step, steps.Invoke)]
    for member in ("behind", "command", "memo_of", "undoes", "undoes_command", "named", "http"):
        values = {getattr(step, member) for step in invoked}
        assert None in values
        assert len(values) > 1
    assert {-1, 0, 1} < {step.behind for step in invoked}


def test_a_plan_has_a_part_of_the_faults_only() -> None:
    faults = (
        steps.CrashRoom,
        steps.FailStore,
        steps.Outage,
        steps.Kill,
        steps.Disconnect,
        steps.WriteElsewhere,
    )
    present = Counter(
        sum(any(isinstance(step, fault) for step in plan.steps) for fault in faults)
        for plan in DRAWN
    )
    assert present.keys() == {0, 1, 2, 3, 4, 5, 6}
    assert present[0] > 50


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_has_the_faults_that_it_is_for_and_no_other(profile: str) -> None:
    kinds = {type(step) for seed in range(60) for step in draw(seed, profile).steps}
    always, never = PROFILES[profile].always, PROFILES[profile].never
    assert not always & never
    assert (steps.Kill in kinds) is ("kill" not in never)
    assert (steps.CrashRoom in kinds) is ("crash" not in never)


def test_a_plan_is_written_as_json_and_read_again() -> None:
    for plan in DRAWN[:100]:
        assert Plan.from_json(plan.json()) == plan


def test_whatever_is_left_out_the_rest_can_be_played() -> None:
    random = Random(5)
    for plan in itertools.islice(DRAWN, 40):
        clients = tuple(each for each in plan.clients if random.random() < 0.5)
        rest = tuple(step for step in plan.steps if random.random() < 0.5)
        simulate(replace(plan, clients=clients, steps=rest, retreats=1))
