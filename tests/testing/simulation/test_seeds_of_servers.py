"""Simulations of the whole server, in slices that run beside each other.

``GBS_SEEDS`` sets how many simulations of rooms there are in all; there is one of the whole server
for five of these. ``GBS_FIRST_SEED`` sets where they begin.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from gbs_actor.testing.simulation import PROFILES, draw, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.plan import Plan
from gbs_actor.testing.simulation.shrink import shrink, source

SEEDS: Final = int(os.environ.get("GBS_SEEDS", "2000")) // 5
FIRST: Final = int(os.environ.get("GBS_FIRST_SEED", "0"))
SLICES: Final = 20
_GENERAL: Final = 0.7
"""The part of the seeds that has the general profile; the others share the rest."""
TWICE: Final = 20
"""One in so many is run again, in another process."""
_NARROW: Final = [name for name in PROFILES if name != "general"]


def cases(number: int) -> Iterator[tuple[int, str]]:
    """Yield the seeds of a slice, and their profiles."""
    for seed in range(FIRST + number, FIRST + SEEDS, SLICES):
        part = (seed // SLICES) % 10 / 10
        yield seed, "general" if part < _GENERAL else _NARROW[seed % len(_NARROW)]


def hash_elsewhere(seeds: list[tuple[int, str]]) -> list[str]:
    script = (
        "import sys\n"
        "from gbs_actor.testing.simulation import simulate\n"
        "for each in sys.argv[1:]:\n"
        "    seed, profile = each.split(':')\n"
        "    print(simulate(int(seed), profile=profile, layer='server').hash)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *(f"{seed}:{profile}" for seed, profile in seeds)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("number", range(SLICES))
def test_no_simulation_of_the_whole_server_breaks_a_rule(number: int) -> None:
    again: list[tuple[int, str]] = []
    hashes: list[str] = []
    for index, (seed, profile) in enumerate(cases(number)):
        trace = simulate(seed, profile=profile, layer="server")
        if violations := check(trace.history):
            pytest.fail(explained(seed, profile, violations[0].rule))
        if index % TWICE == TWICE - 1:
            again.append((seed, profile))
            hashes.append(trace.hash)
    assert hash_elsewhere(again) == hashes


def explained(seed: int, profile: str, rule: str) -> str:
    """Return the smallest plan that breaks a rule as a seed does, and how."""

    def fails(plan: Plan) -> bool:
        history = simulate(plan, layer="server").history
        return any(each.rule == rule for each in check(history))

    small = shrink(draw(seed, profile, networked=True), fails, attempts=300)
    trace = simulate(small, layer="server")
    found = "\n".join(map(str, check(trace.history)))
    return f"seed {seed}, profile {profile}:\n{found}\n\n{trace}\n\n{source(small)}"
