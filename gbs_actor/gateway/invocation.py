"""One event of a client, with its one reply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import Final
from uuid import UUID

import msgspec

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.events import ServerEvent
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.replies import Failure, ReadResult
from gbs_actor.lineup.changes import Rejection
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot

Outcome = Accepted | Done | Snapshot | ReadResult | Rejection | Failure
"""What a reply to an invocation is made of."""

SHOWN_NAME_LENGTH: Final = 100
"""Characters of an event's name that an error quotes."""


class _Identified(msgspec.Struct, rename="camel"):
    command_id: UUID | None = None


class Invocation(ABC):
    """An event: its name, its argument, and exactly one reply; one subclass a transport.

    A client that waits for the reply receives an ack, or a reply under its id. A client that
    does not wait receives an error as event ``error``, the rows of a join as ``initial-data``,
    and otherwise only the update itself.

    :param peer: the client's transport.
    :param name: the event's name; "" if it has none.
    :param wants_reply: whether the client waits for a reply.
    :param received_at: Trio time at which it was read.
    :param errors: counts the errors that are replied, by their codes.
    """

    __slots__ = ("_errors", "_peer", "name", "received_at", "replied", "wants_reply")

    def __init__(
        self,
        peer: Peer,
        name: str,
        wants_reply: bool,
        received_at: float,
        errors: Counter[str],
    ) -> None:
        self._peer = peer
        self._errors = errors
        self.name = name
        self.wants_reply = wants_reply
        self.received_at = received_at
        self.replied = False
        """Whether the reply was sent."""

    @abstractmethod
    def argument(self) -> bytes:
        """Return the argument's JSON, not decoded.

        :raises InvalidPayload: there is none, or it cannot be separated from the rest.
        """

    def command_id(self) -> str | None:
        """Return the id that the client gave its command, if it gave one, for the log.

        Decodes the argument, which may be gone once the reply was sent.
        """
        try:
            found = msgspec.json.decode(self.argument(), type=_Identified).command_id
        except (InvalidPayload, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None
        return None if found is None else str(found)

    def reply(
        self, outcome: Outcome, *, repeatable: bool = True, outside_room: bool = False
    ) -> None:
        """Reply, once; a room calls it after it has sent the rows that go before the reply.

        After the end of the connection it does nothing.

        :param repeatable: whether the client can repeat the command under the same
            ``commandId``; see :meth:`Failure.of <gbs_actor.gateway.replies.Failure.of>`.
        :param outside_room: the command was carried out in a room that the client is not in:
            that room's revision would mean nothing to it.
        :raises RuntimeError: at the second call.
        """
        if self.replied:
            raise RuntimeError(f"{self.name[:SHOWN_NAME_LENGTH]!r} was replied to before")
        self.replied = True
        # By type(), as isinstance() is slow with a struct's class.
        if type(outcome) is Accepted:
            if self.wants_reply:
                self._send(replies.accepted(outcome, outside_room=outside_room))
        elif type(outcome) is Done:
            if self.wants_reply:
                self._send(replies.done(outcome))
        elif isinstance(outcome, Rejection):
            self._count_failed(Failure.of(outcome, repeatable=repeatable))
        elif isinstance(outcome, Failure):
            self._count_failed(outcome)
        elif isinstance(outcome, Snapshot):
            self._joined(outcome)
        elif isinstance(outcome, ReadResult) and self.wants_reply:
            self._send(replies.read(outcome))

    def _joined(self, snapshot: Snapshot) -> None:
        if self.wants_reply:
            self._send_joined(snapshot)
        else:
            self._peer.send_list(snapshot)

    def _count_failed(self, failure: Failure) -> None:
        self._errors[failure.code] += 1
        self._failed(failure)

    def _failed(self, failure: Failure) -> None:
        name = self.name[:SHOWN_NAME_LENGTH]
        if self.wants_reply:
            self._send(replies.failed(name, failure))
        else:
            self._peer.send_event(ServerEvent.ERROR, replies.error_event(name or None, failure))

    @abstractmethod
    def _send(self, json: bytes) -> None:
        """Send the reply, as the client waits for it.

        :param json: an object with members.
        """

    def _send_joined(self, snapshot: Snapshot) -> None:
        """Send the reply to a join; a transport may share its bytes."""
        self._send(replies.joined(snapshot))
