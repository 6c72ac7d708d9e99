"""An event as a handler sees it: named, not yet decoded, acknowledged at most once."""

from __future__ import annotations

import sys
from typing import Any, Final, Protocol

from gbs_actor.socketio.channel.backlog import Backlog, BacklogEvent
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.encoding import encode_ack, encode_raw_ack, raw_ack
from gbs_actor.socketio.errors import AlreadyAcknowledged, InvalidArguments
from gbs_actor.socketio.packet import EventData, decode_values

_SHARED_ACKS: Final = 4
"""Acknowledgements of one value that are kept; a bound, as clients choose the ids."""


_DROPPED: Final = EventData("", "", args_error="the event's handler has ended")


class AckSender(Protocol):
    """The socket that an event's acknowledgement goes to."""

    def send_ack(self, message: Message) -> None:
        """Send an acknowledgement; after the end, do nothing."""
        ...

    def send_ack_text(self, text: bytes) -> None:
        """Send one that is encoded as text, and is nobody else's; after the end, do nothing."""
        ...


class Event(BacklogEvent):
    """One event of a client.

    Its arguments are available until its handler has ended; see :meth:`keep`. A reply may be
    sent later, from any task. An event without a reply counts in the backlog until
    :meth:`release` or the end of the connection.

    Attributes:
        name: the event's name.
        attachments: binary values, numbered by the placeholders in the arguments.
        wants_ack: whether the client waits for an acknowledgement.
        ack_id: the client's number for it; ``None``: it does not wait.
        size: bytes of memory that it takes, and counts, attachments included.
        received_at: Trio time at which its last bytes were read.
    """

    __slots__ = ("_data", "_namespace", "_replied", "_socket", "ack_id", "attachments", "name")

    def __init__(
        self,
        socket: AckSender,
        backlog: Backlog,
        namespace: str,
        data: EventData,
        *,
        ack_id: int | None = None,
        attachments: tuple[bytes, ...] = (),
    ) -> None:
        size = sys.getsizeof(data.json) + len(data.name)
        if attachments:
            size += sum(map(len, attachments))
        BacklogEvent.__init__(self, backlog, size, ack_id is not None)  # super() costs
        self.name = data.name
        self._data = data
        self.attachments = attachments
        self._namespace = namespace
        self.ack_id = ack_id
        self._socket = socket
        self._replied = False

    @property
    def args_error(self) -> str | None:
        """Why there are no arguments, not even undecoded ones; ``None`` if there are.

        They are nested too deeply, hold text that is not Unicode, or were dropped.
        """
        return self._data.args_error

    @property
    def first(self) -> bytes | None:
        """The JSON of the first argument as it came, not decoded; ``None`` without one.

        ``None`` also where :attr:`args_error` is set.
        """
        first = self._data.first
        return None if first is None else bytes(first)

    def arguments(self) -> list[Any]:
        """Decode the arguments.

        :raises InvalidArguments: they cannot be decoded as JSON.
        """
        if self.args_error is not None:
            raise InvalidArguments(self.args_error)
        return decode_values(self._data.json, self.attachments)[1:]

    def reply(self, *values: Any) -> None:
        """Acknowledge the event; callable from any task, now or later.

        Does nothing if the client does not wait for an acknowledgement or has disconnected.

        :param values: JSON values, or binary ones.
        :raises AlreadyAcknowledged: at the second call.
        :raises TypeError: a value has no JSON form; nothing is sent then.
        """
        message = None
        if self.ack_id is not None and not self._replied:
            message = encode_ack(self._namespace, self.ack_id, values)
        self._reply(message)

    def reply_raw(self, json: bytes) -> None:
        """Acknowledge the event with one value that is JSON already.

        :raises AlreadyAcknowledged: at the second call.
        """
        if self._replied:
            raise self._acknowledged_before()
        self._replied = True
        if self.ack_id is not None:
            self._socket.send_ack_text(raw_ack(self._namespace, self.ack_id, json))
            self.release()

    def reply_shared(self, json: bytes, acks: dict[tuple[str, int], Message]) -> None:
        """Acknowledge the event with a value that other clients get, too.

        Clients that wait for the same ack id get the same message, as many do when they
        reconnect at once.

        :param acks: keeps some of the acknowledgements with this value.
        :raises AlreadyAcknowledged: at the second call.
        """
        message = None
        if self.ack_id is not None:
            key = (self._namespace, self.ack_id)
            message = acks.get(key)
            if message is None:
                message = encode_raw_ack(self._namespace, self.ack_id, json)
                if len(acks) < _SHARED_ACKS:
                    acks[key] = message
        self._reply(message)

    def _reply(self, message: Message | None) -> None:
        if self._replied:
            raise self._acknowledged_before()
        self._replied = True
        if message is not None:
            self._socket.send_ack(message)
            self.release()

    def _acknowledged_before(self) -> AlreadyAcknowledged:
        return AlreadyAcknowledged(f"event {self.name!r} was acknowledged before")

    def _drop(self) -> int:
        self._data = _DROPPED
        self.attachments = ()
        return len(self.name)

    def __repr__(self) -> str:
        return f"<Event {self.name!r}>"
