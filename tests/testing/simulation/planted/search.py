"""Looks for planted bugs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gbs_actor.testing.simulation import simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.simulate import Layer
from tests.testing.simulation.planted.bug import Bug


@dataclass(frozen=True, slots=True)
class Found:
    """A seed that shows a bug."""

    seed: int
    tried: int
    """Seeds that were tried, this one included."""
    rules: frozenset[str]
    """Those that are broken."""


def search(bug: Bug, profile: str, seeds: Iterable[int]) -> Found | None:
    """Return the first of some seeds that shows a bug, and that is clean without it."""
    for tried, seed in enumerate(seeds, 1):
        with bug.planted():
            rules = broken_rules(seed, profile, bug.layer)
        if rules and not broken_rules(seed, profile, bug.layer):
            return Found(seed, tried, rules)
    return None


def broken_rules(seed: int, profile: str, layer: Layer) -> frozenset[str]:
    """Return the rules that a simulation breaks."""
    history = simulate(seed, profile=profile, layer=layer).history
    return frozenset(each.rule for each in check(history))


def rules_that_find(bug: Bug, profile: str, seeds: Iterable[int]) -> frozenset[str]:
    """Return all rules that are broken in some of the seeds with a bug, and not without it."""
    rules: set[str] = set()
    for seed in seeds:
        with bug.planted():
            broken = broken_rules(seed, profile, bug.layer)
        if broken - rules:
            rules |= broken - broken_rules(seed, profile, bug.layer)
    return frozenset(rules)
