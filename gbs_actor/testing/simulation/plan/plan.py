"""A simulation before it is run: who takes part, and what happens."""

from __future__ import annotations

import msgspec

from gbs_actor.testing.simulation.history import Form
from gbs_actor.testing.simulation.plan.steps import Step


class Participant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A client."""

    number: int
    """Names it in steps."""
    user: int
    """The id of its user; two clients may be of one."""
    form: Form = "rows"
    retreat: int | None = 0
    """The one that it joins at the beginning; ``None``: none."""
    operator: bool = False
    """Whether it may undo what others did."""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole simulation, as data: equal plans give equal runs."""

    seed: int
    """Decides what the steps leave open: the order of tasks, latency, what becomes of what is cut
    off, ids."""
    profile: str
    """What it was drawn for; for a reader."""
    clients: tuple[Participant, ...]
    steps: tuple[Step, ...]
    people: int = 6
    """Of each retreat."""
    retreats: int = 1
    settings: dict[str, int | float] = {}
    """Of rooms, where they differ from the defaults."""
    latency: float = 0.0
    """Seconds, at most, to the store and back."""

    def json(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, raw: bytes | str) -> Plan:
        """Return the plan that :meth:`json` has written.

        :raises msgspec.ValidationError: it is none.
        """
        return msgspec.json.decode(raw, type=cls)


SLUGS = ("winter", "summer")
"""The retreats, by number."""
