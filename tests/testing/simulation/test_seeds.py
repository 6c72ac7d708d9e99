"""Faults that simulations have found: the seeds, and what was wrong."""

from __future__ import annotations

import pytest

from gbs_actor.testing.simulation import simulate
from gbs_actor.testing.simulation.checker import check

FOUND = [
    # Out of a room that had crashed behind its commit, clients in the batch form were answered
    # rows in the list's revision in place of their own fields'.
    (107, "crashes"),
    (145, "crashes"),
    (252, "crashes"),
]


@pytest.mark.parametrize(("seed", "profile"), FOUND)
def test_what_was_found_once_is_mended(seed: int, profile: str) -> None:
    assert check(simulate(seed, profile=profile).history) == []
