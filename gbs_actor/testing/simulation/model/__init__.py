"""A naive model of the line-up: what each revision is, and what becomes of a command at each.

Written against the wire contract, and independently of :mod:`gbs_actor.lineup`, of which it uses
the records, the actions and the forms of text only. ``lineup`` follows a log, ``view`` shows it at
a revision, with ``cells`` for its fields; ``argument`` reads what a client sends, ``decision`` and
``undoing`` decide, and ``outcome`` is what they come to.
"""

from gbs_actor.testing.simulation.model.argument import Asked, Malformed, asked, target_of
from gbs_actor.testing.simulation.model.cells import Key, Row, iso
from gbs_actor.testing.simulation.model.decision import decide
from gbs_actor.testing.simulation.model.lineup import Lineup
from gbs_actor.testing.simulation.model.outcome import Decision
from gbs_actor.testing.simulation.model.timeline import Timeline
from gbs_actor.testing.simulation.model.view import View

__all__ = [
    "Asked",
    "Decision",
    "Key",
    "Lineup",
    "Malformed",
    "Row",
    "Timeline",
    "View",
    "asked",
    "decide",
    "iso",
    "target_of",
]
