"""Compares the checker with a search through all explanations, on small random histories.

``python -m tests.testing.simulation.agreement 100000`` reports on that many.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, field

from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.history import Form, History
from gbs_actor.testing.simulation.search import is_explained
from tests.testing.simulation.mutations import mutated
from tests.testing.simulation.player import Player


def small_history(seed: str) -> History:
    """Return a history of at most six commands and three clients; most of them are broken."""
    rnd = random.Random(seed)
    forms: list[Form] = rnd.choices(["rows", "batch"], k=3)
    player = Player(
        rnd,
        people=rnd.randint(2, 4),
        clients=rnd.randint(2, 3),
        users=rnd.randint(1, 2),
        forms=forms,
        many=rnd.random() < 0.5,
        commands=rnd.randint(1, 6),
    )
    history = player.play_small(rnd.randint(15, 70))
    for _ in range(rnd.choice([0, 1, 1, 1, 2])):
        history = mutated(rnd, history)
    return history


@dataclass
class Agreement:
    """What checker and search have said of some histories."""

    both: Counter[str] = field(default_factory=Counter)
    differ: list[str] = field(default_factory=list)
    """Seeds of histories on which they do not agree."""

    def compare(self, seed: str) -> None:
        """Judge a history by both."""
        history = small_history(seed)
        found, explained = check(history), is_explained(history)
        if explained is bool(found):
            self.differ.append(f"{seed}: {'explained' if explained else 'not explained'}")
        self.both["right" if explained else "wrong"] += 1
        self.both.update({violation.rule for violation in found})


def main(count: int) -> None:
    agreement = Agreement()
    for number in range(count):
        agreement.compare(f"agreement {number}")
    print(f"{count - len(agreement.differ)} of {count} agree: {dict(agreement.both)}")  # noqa: T201
    print("\n".join(agreement.differ[:20]))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
