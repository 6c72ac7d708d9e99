"""A client as the gateway sees it, whatever protocol it speaks."""

from __future__ import annotations

from typing import Protocol

from gbs_actor.auth import TokenSource
from gbs_actor.rooms import Sink, SinkStatistics, Snapshot
from gbs_actor.socketio import OutboxStatistics


class Peer(Sink, Protocol):
    """The client at the other end of one connection.

    It is where a room's messages go, too. No method blocks; after the connection has
    ended they do nothing.
    """

    def tell(self, event: str, payload: bytes) -> None:
        """Send an event.

        :param payload: JSON.
        """
        ...

    def send_list(self, snapshot: Snapshot) -> None:
        """Send a room's rows as event ``initial-data``, which replaces the client's list."""
        ...

    def end_expired(self, source: TokenSource) -> None:
        """End the connection, as its token's time and that to renew it are over.

        :param source: where the token was found.
        """
        ...


class ClientEvent(Protocol):
    """Something a client says, and where the answer goes."""

    @property
    def name(self) -> str:
        """The event's name; "" where it has none."""
        ...

    @property
    def wants_answer(self) -> bool:
        """Whether the client waits for an answer."""
        ...

    def argument(self) -> bytes:
        """Return the argument's JSON as it came.

        :raises InvalidPayload: there is none, or it cannot be told from the rest.
        """
        ...

    def answer_joined(self, snapshot: Snapshot) -> None:
        """Answer a join, where the client waits for that; instead of :meth:`answer`."""
        ...

    def answer(self, json: bytes) -> None:
        """Send the answer, where the client waits for one; called at most once.

        :param json: an object.
        """
        ...


def behind(outbox: OutboxStatistics) -> SinkStatistics:
    """Return what an outbox tells of a client as rooms want to know it."""
    return SinkStatistics(
        queued=outbox.queued,
        queued_bytes=outbox.queued_bytes,
        conflated=outbox.conflated,
        behind_for=outbox.behind_for,
    )
