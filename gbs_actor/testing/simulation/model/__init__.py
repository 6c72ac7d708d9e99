"""A naive model of the line-up: what each revision is, and what becomes of a command at each.

Written against the wire contract, and independently of :mod:`gbs_actor.lineup`, of which it uses
the records, the actions and the forms of text only. ``lineup`` follows a log, ``argument`` reads
what a client sends, ``decision`` and ``undoing`` decide.
"""

from gbs_actor.testing.simulation.model.argument import Asked, Malformed, asked, target_of
from gbs_actor.testing.simulation.model.decision import Decision, decide
from gbs_actor.testing.simulation.model.lineup import Key, Lineup, Row, View

__all__ = [
    "Asked",
    "Decision",
    "Key",
    "Lineup",
    "Malformed",
    "Row",
    "View",
    "asked",
    "decide",
    "target_of",
]
