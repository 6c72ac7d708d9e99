"""In rooms of the size of a retreat no step of a task is too long, and no rule is broken."""

from __future__ import annotations

from typing import Final
from unittest.mock import patch

import pytest

from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.work_budget import WorkBudget
from gbs_actor.testing.simulation import simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.steps import LongStep

LONGEST: Final = 25_000
"""Calls of functions in a step, at most. One stands for half a microsecond, in C functions and
all: these for 12 ms. To decide on a bulk edit of a thousand rows takes most of them."""


def longest_step(seed: int) -> LongStep:
    longest = simulate(seed, profile="large", steps=True).longest_step
    assert longest is not None
    return longest


@pytest.mark.parametrize("seed", [0, 1, 5, 8, 10])
def test_no_step_is_too_long_in_rooms_of_a_thousand(seed: int) -> None:
    trace = simulate(seed, profile="large", steps=True)
    assert check(trace.history) == []
    assert trace.longest_step is not None
    assert trace.longest_step.calls <= LONGEST, str(trace.longest_step)


def test_no_step_is_too_long_in_a_whole_server() -> None:
    trace = simulate(2, profile="large", layer="server", steps=True)
    assert check(trace.history) == []
    assert trace.longest_step is not None
    assert trace.longest_step.calls <= LONGEST, str(trace.longest_step)


def test_long_work_that_lets_no_others_run_is_found() -> None:
    with patch.object(WorkBudget, "take", lambda self, units=1: False):
        assert longest_step(1).calls > LONGEST


def test_a_list_that_is_encoded_for_the_first_join_is_found() -> None:
    async def encode(self: EncodedRows, budget: WorkBudget) -> None:
        self.encoded = True  # or the room would encode again, and again

    calls = longest_step(5).calls
    with patch.object(EncodedRows, "encode", encode):
        assert longest_step(5).calls > 1.5 * calls
