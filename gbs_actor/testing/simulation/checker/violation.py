"""What a rule has found, and the list of all rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gbs_actor.testing.simulation.checker.facts import Facts


@dataclass(frozen=True, slots=True)
class Violation:
    """A place in a history that breaks a rule."""

    rule: str
    index: int
    """Of the moment in the history."""
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.index}: {self.sentence}"


Found = Iterator[tuple[int, str]]
"""Indexes in the history, and what is wrong there."""
Named = Iterator[tuple[str, int, str]]
"""The same, each with the name of the rule that it breaks."""

RULES: Final[list[str]] = []
"""Their names, in the order in which they were declared."""
CHECKS: Final[list[Callable[[Facts], Named]]] = []
"""What finds all that breaks one of them, or several."""


def rule(function: Callable[[Facts], Found]) -> Callable[[Facts], Found]:
    """Declare a rule, under the function's name with hyphens."""
    name = function.__name__.replace("_", "-")

    def named(facts: Facts) -> Named:
        for index, sentence in function(facts):
            yield name, index, sentence

    rules(name)(named)
    return function


def rules(*names: str) -> Callable[[Callable[[Facts], Named]], Callable[[Facts], Named]]:
    """Declare rules that one function judges, since they follow the same sequence."""

    def declare(function: Callable[[Facts], Named]) -> Callable[[Facts], Named]:
        RULES.extend(names)
        CHECKS.append(function)
        return function

    return declare
