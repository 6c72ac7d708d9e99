"""What the clients of one simulation of the whole server share."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import trio

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers import HttpReply
from gbs_actor.testing.simulation.disturbances import Disturbances
from gbs_actor.testing.simulation.history import History, Json
from gbs_actor.testing.simulation.plan import Participant
from gbs_actor.testing.simulation.server.requests import Request


class Run(Protocol):
    """What all clients of a run share."""

    history: History
    counters: Counter[str]
    disturbances: Disturbances
    nursery: trio.Nursery

    def next_number(self) -> int:
        """Return a number that is unique in the run."""
        ...

    def home_of(self, event: str, argument: Json) -> str | None:
        """Return the retreat of the person or memo that a command is about, if there is one."""
        ...

    def token(self, participant: Participant, expires_in: float | None = None) -> str:
        """Return a token.

        :param expires_in: seconds; ``None``: one that lasts.
        """
        ...

    def room_of(self, sid: str) -> str | None:
        """Return the room that a session is in."""
        ...

    def chance(self) -> float:
        """Return a number from 0 to 1."""
        ...

    async def open_stream(self, participant: Participant) -> SimStream:
        """Open a connection.

        :raises OSError: nothing listens.
        """
        ...

    async def http(self, participant: Participant, request: Request) -> HttpReply:
        """Send a request.

        :raises OSError: nothing listens.
        :raises PeerClosed: the connection has ended.
        """
        ...

    async def wait_up(self) -> None:
        """Wait until the server takes connections."""
        ...
