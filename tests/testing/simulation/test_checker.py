"""The checker finds nothing in histories that are right."""

from __future__ import annotations

import random

import pytest

from gbs_actor.testing.simulation.checker import check
from tests.testing.simulation.player import Player


@pytest.mark.parametrize("faults", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_nothing_is_found_in_a_history_that_is_right(part: int, faults: bool) -> None:
    for number in range(50):
        seed = f"right {part} {number}"
        history = Player(random.Random(seed), faults=faults, commands=30).play(120)
        assert check(history) == [], seed
