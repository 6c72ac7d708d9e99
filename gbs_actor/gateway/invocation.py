"""One event of a client, with its one reply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from gbs_actor.contract.events import ServerEvent
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot

Outcome = Accepted | Done | Snapshot | Rejection | Failure
"""What an invocation is replied to with."""

SHOWN_NAME_LENGTH: Final = 100
"""Characters of an event's name that an error repeats to its sender."""


class Invocation(ABC):
    """An event: its name, its argument, and exactly one reply; one subclass a transport.

    The reply goes out as what the client waits for: an ack, or an answer under its id. Where
    it waits for nothing, an error goes out as event ``error``, the rows of a join as
    ``initial-data``, and of everything else nothing, since the update itself goes out.

    :param peer: the client's transport.
    """

    __slots__ = ("_peer", "replied")

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.replied = False
        """Whether the reply was given."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The event's name; "" where it has none."""

    @property
    @abstractmethod
    def wants_reply(self) -> bool:
        """Whether the client waits for a reply."""

    @abstractmethod
    def argument(self) -> bytes:
        """Return the argument's JSON as it came.

        :raises InvalidPayload: there is none, or it cannot be separated from the rest.
        """

    def reply(self, outcome: Outcome, *, repeatable: bool = True) -> None:
        """Reply, once; rooms call it at the reply's position in what goes out.

        On a connection that has ended it does nothing.

        :param repeatable: whether the client can repeat the command under the same
            ``commandId``; see :meth:`Failure.of <gbs_actor.gateway.replies.Failure.of>`.
        :raises RuntimeError: at the second call.
        """
        if self.replied:
            raise RuntimeError(f"{self.name[:SHOWN_NAME_LENGTH]!r} was replied to before")
        self.replied = True
        match outcome:
            case Accepted():
                if self.wants_reply:
                    self._send(replies.accepted(outcome))
            case Done():
                if self.wants_reply:
                    self._send(replies.done(outcome))
            case Snapshot():
                self._joined(outcome)
            case Rejection():
                self._failed(Failure.of(outcome, repeatable=repeatable))
            case Failure():
                self._failed(outcome)

    def _joined(self, snapshot: Snapshot) -> None:
        if self.wants_reply:
            self._send_joined(snapshot)
        else:
            self._peer.send_list(snapshot)

    def _failed(self, failure: Failure) -> None:
        name = self.name[:SHOWN_NAME_LENGTH]
        if self.wants_reply:
            self._send(replies.failed(name, failure))
        else:
            self._peer.send_event(ServerEvent.ERROR, replies.error_event(name or None, failure))

    @abstractmethod
    def _send(self, json: bytes) -> None:
        """Send the reply to a client that waits for it.

        :param json: an object with members.
        """

    def _send_joined(self, snapshot: Snapshot) -> None:
        """Send the reply to a join; a transport may share its bytes."""
        self._send(replies.joined(snapshot))
