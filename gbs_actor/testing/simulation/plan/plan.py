"""A simulation before it is run: who takes part, and what happens."""

from __future__ import annotations

from typing import Literal

import msgspec

from gbs_actor.testing.simulation.history import Form
from gbs_actor.testing.simulation.plan.steps import Step

Transport = Literal["websocket", "polling", "upgraded", "plain"]
"""Socket.IO over a WebSocket, over long-polling, or over this and then a WebSocket; or a plain
WebSocket."""


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

    # What follows counts only where there is a network.
    transport: Transport = "websocket"
    recovery: bool = True
    """Whether it asks for a session that can be resumed."""
    presence: bool = True
    """Whether it is sent who is there each time that changes."""
    retries: bool = False
    """Whether it gives commands with an id again that a lost connection has left unanswered."""
    cookie: bool = False
    """Whether its token is in a cookie."""

    node: int = 0
    """The one of several that it connects to first."""


Bus = Literal["none", "perfect", "rough"]
"""Between nodes. Rough: hints are lost, doubled, late and in another order."""
Network = Literal["perfect", "rough", "slow"]
"""Rough: bytes are cut up anywhere, sends are partial, buffers small; slow: the same, late."""


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
    server: dict[str, dict[str, int | float]] = {}
    """Other settings, by group, where they differ."""
    plane: bool = True
    """Whether one task drives all WebSockets."""
    network: Network = "perfect"
    """What the network does to bytes."""
    latencies: tuple[float, ...] = ()
    """By node, where there are several: seconds, at most, to the store and back."""
    bus: Bus = "none"
    """What there is between them."""

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
