"""Thousands of simulations, in slices that run beside each other.

``SIMULATION_SEEDS`` sets how many of rooms there are in all; there is one of the whole server for
five of these, and one of several nodes for ten. ``FIRST_SIMULATION_SEED`` sets where they begin.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from gbs_actor.testing.simulation import PROFILES, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.plan import Plan
from gbs_actor.testing.simulation.shrink import shrink, source
from gbs_actor.testing.simulation.simulate import Layer, draw_for

SLICES: Final = 8
"""Of each layer. For every one a process is started, which imports the whole server."""
_OF_ROOMS: Final = int(os.environ.get("SIMULATION_SEEDS", "2000"))
_SEEDS: Final[dict[Layer, int]] = {
    "rooms": _OF_ROOMS,
    "server": _OF_ROOMS // 5,
    "nodes": _OF_ROOMS // 10,
}
_FIRST: Final = int(os.environ.get("FIRST_SIMULATION_SEED", "0"))
_IN_A_ROW: Final = 20
_GENERAL: Final = 7
"""Of ten rows of so many seeds seven have the general profile; the others share the rest."""
_NARROW: Final = [name for name in PROFILES if name not in ("general", "nodes", "large")]
_ON_NODES: Final = ("fence", "repeats", "batches", "kills", "since", "general")
"""What is played on several nodes besides what is meant for them."""
_TWICE: Final = 20
"""One in so many is run again, in another process."""
_ATTEMPTS: Final = 300
"""At making a plan smaller."""
_SCRIPT: Final = """
import sys
from gbs_actor.testing.simulation import simulate
for each in sys.argv[2:]:
    seed, profile = each.split(":")
    print(simulate(int(seed), profile=profile, layer=sys.argv[1]).hash)
"""


def check_slice(layer: Layer, number: int) -> None:
    """Run a slice of the simulations, and a part of them once more in another process.

    :raises pytest.fail.Exception: one breaks a rule, with the smallest plan that does.
    :raises AssertionError: another process gives other hashes.
    """
    again: list[str] = []
    hashes: list[str] = []
    for index, (seed, profile) in enumerate(_cases(layer, number)):
        trace = simulate(seed, profile=profile, layer=layer)
        if violations := check(trace.history):
            pytest.fail(_explained(layer, seed, profile, violations[0].rule))
        if index % _TWICE == _TWICE - 1:
            again.append(f"{seed}:{profile}")
            hashes.append(trace.hash)
    assert _hashes_elsewhere(layer, again) == hashes


def _cases(layer: Layer, number: int) -> Iterator[tuple[int, str]]:
    """Yield the seeds of a slice, and their profiles."""
    for seed in range(_FIRST + number, _FIRST + _SEEDS[layer], SLICES):
        is_general = seed // _IN_A_ROW % 10 < _GENERAL
        general, narrow = ("nodes", _ON_NODES) if layer == "nodes" else ("general", _NARROW)
        yield seed, general if is_general else narrow[seed % len(narrow)]


def _hashes_elsewhere(layer: Layer, cases: list[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, layer, *cases],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def _explained(layer: Layer, seed: int, profile: str, rule: str) -> str:
    """Return the smallest plan that breaks a rule as a seed does, and how."""

    def fails(plan: Plan) -> bool:
        return any(each.rule == rule for each in check(simulate(plan, layer=layer).history))

    plan = draw_for(layer, seed, profile)
    small = shrink(plan, fails, attempts=_ATTEMPTS)
    trace = simulate(small, layer=layer)
    found = "\n".join(map(str, check(trace.history)))
    return f"seed {seed}, profile {profile}:\n{found}\n\n{trace}\n\n{source(small)}"
