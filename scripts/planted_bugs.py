"""Shows after how many seeds the simulator finds each planted bug, and by which rules.

Each is looked for with the profile meant for it and with the general mix, from several starting
points. A seed counts if it is clean without the bug.

    python -m scripts.planted_bugs [--starts 5] [--seeds 300] [--general 2000] [--jobs 2] [WORDS]

It takes half an hour. With ``--known`` it only prints the first seed of each bug, as Python, for
``tests/testing/simulation/planted/known.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median

from gbs_actor.testing.simulation.checker import RULES
from tests.testing.simulation.planted import BUGS, Bug
from tests.testing.simulation.planted.search import rules_that_find, search

_APART = 10_000
"""Seeds from one starting point to the next."""
_AT_ONCE = 2
"""Up to this seed a search needs no hint."""
_LATE = 99_999
"""Stands for: not found."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was found of one bug."""

    bug: Bug
    tried: list[int]
    """Seeds until it was found with its profile, by starting point."""
    general: list[int]
    """The same with the general mix."""
    rules: frozenset[str]
    """All that find it within the first seeds of its profile."""

    def __str__(self) -> str:
        only = "only " if len(self.rules) == 1 else ""
        return (
            f"| {self.bug.name} | {self.bug.profile} | {_shown(self.tried)} "
            f"| {_shown(self.general)} | {only}{', '.join(sorted(self.rules))} |"
        )


def _shown(tried: list[int]) -> str:
    if not tried:
        return "–"
    middle = median(tried)
    found = sum(each < _LATE for each in tried)
    shown = f"{min(tried)} / {middle:.0f}" if middle < _LATE else f"{min(tried)} / –"
    return shown if found == len(tried) else f"{shown} ({found} of {len(tried)})"


def _look(arguments: tuple[int, int, int, int, int]) -> Line:
    number, starts, seeds, general, rules = arguments
    bug = BUGS[number]
    return Line(
        bug,
        list(_tries(bug, bug.profile, starts, seeds)),
        list(_tries(bug, "general", starts, general)),
        rules_that_find(bug, bug.profile, range(rules)),
    )


def _tries(bug: Bug, profile: str, starts: int, seeds: int) -> Iterator[int]:
    for start in range(0, starts * _APART if seeds else 0, _APART):
        found = search(bug, profile, range(start, start + seeds))
        yield _LATE if found is None else found.tried


def _print_known(seeds: int) -> None:
    print("KNOWN: Final[dict[str, int]] = {")
    for bug in BUGS:
        found = search(bug, bug.profile, range(seeds))
        if found is not None and found.seed > _AT_ONCE:
            print(f"    {bug.name!r}: {found.seed},")
    print("}")


def main() -> None:
    """Print a line for each bug, then the rules that alone find one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("words", nargs="?", default="", help="only bugs with these in their name")
    parser.add_argument("--starts", type=int, default=5, help="starting points")
    parser.add_argument("--seeds", type=int, default=300, help="of a bug's profile, at most")
    parser.add_argument("--general", type=int, default=2_000, help="of the general mix, at most")
    parser.add_argument("--rules", type=int, default=300, help="seeds that show which find it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--known", action="store_true", help="only print the first seeds")
    options = parser.parse_args()
    if options.known:
        _print_known(options.seeds)
        return
    chosen = [
        (number, options.starts, options.seeds, options.general, options.rules)
        for number, bug in enumerate(BUGS)
        if options.words in bug.name
    ]
    alone: set[str] = set()
    print("| bug | profile | its seeds: least / median | general: least / median | rules |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(options.jobs) as pool:
        for line in pool.map(_look, chosen):
            print(line, flush=True)
            if len(line.rules) == 1:
                alone |= line.rules
    print("\nAlone in finding some bug:", ", ".join(sorted(alone)))
    print("Never alone:", ", ".join(rule for rule in RULES if rule not in alone))


if __name__ == "__main__":
    main()
