"""Judges a run by its history alone.

Each rule has a name, of those in :data:`RULES`. ``facts`` puts the ``events`` of a history in
order, and follows each log by the naive model. ``log``, ``answers``, ``reads``, ``sequence``,
``epochs``, ``liveness``, ``presence`` and ``endings`` have the rules; ``rejecting`` and ``placing``
say at which revisions an answer is right, ``identity`` who may do what until when.
"""

from __future__ import annotations

from gbs_actor.testing.simulation.checker import (  # noqa: F401  (they declare the rules)
    answers,
    endings,
    epochs,
    liveness,
    log,
    presence,
    reads,
    sequence,
)
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.violation import CHECKS, RULES, Violation
from gbs_actor.testing.simulation.history import History

__all__ = ["RULES", "Violation", "check"]


def check(history: History) -> list[Violation]:
    """Return all that is wrong in a history, in its order.

    :param history: of a run, whole or up to any moment.
    """
    facts = Facts(history)
    found = [Violation(*each) for judge in CHECKS for each in judge(facts)]
    return sorted(found, key=lambda each: each.index)
