"""An event as a handler sees it: named, not yet decoded, to be answered at most once."""

from __future__ import annotations

import sys
from typing import Any, Final, Protocol

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.encoding import encode_ack, encode_raw_ack
from gbs_actor.socketio.errors import AlreadyAnswered, InvalidArguments
from gbs_actor.socketio.packet import EventData, decode_values

_SHARED_ACKS: Final = 4
"""Acknowledgements of one value that are kept; clients choose the ids, so there may be any."""


class Answerer(Protocol):
    """Where an event's acknowledgement goes."""

    def send_ack(self, message: Message) -> None:
        """Send an acknowledgement; after the end, do nothing."""
        ...

    def release_event(self) -> None:
        """Note that an event needs no answer any more."""
        ...

    def forget_event(self, size: int) -> None:
        """Note that an event of so many bytes is held no longer."""
        ...


class Event:
    """One event of a client.

    Attributes:
        attachments: binary values, numbered by the placeholders in the arguments.
        wants_ack: whether the client waits for an answer.
    """

    __slots__ = (
        "_ack_id",
        "_answered",
        "_answerer",
        "_data",
        "_namespace",
        "_size",
        "attachments",
        "wants_ack",
    )

    def __init__(
        self,
        answerer: Answerer,
        namespace: str,
        ack_id: int | None,
        data: EventData,
        attachments: tuple[bytes, ...] = (),
    ) -> None:
        self._data = data
        self.attachments = attachments
        self.wants_ack = ack_id is not None
        self._namespace = namespace
        self._ack_id = ack_id
        self._answerer = answerer
        self._answered = False
        self._size = sys.getsizeof(data.json) + len(data.name) + sum(map(len, attachments))

    @property
    def name(self) -> str:
        """The event's name."""
        return self._data.name

    @property
    def args_error(self) -> str | None:
        """Why the arguments cannot even be told apart, if they cannot.

        They are nested too deeply, or hold text that is no Unicode.
        """
        return self._data.args_error

    @property
    def first(self) -> bytes | None:
        """The JSON of the first argument as it came, not decoded; ``None`` without one.

        So also where :attr:`args_error` is set.
        """
        first = self._data.first
        return None if first is None else bytes(first)

    @property
    def size(self) -> int:
        """Bytes of memory that the event takes, attachments included."""
        return self._size

    def arguments(self) -> list[Any]:
        """Decode the arguments.

        :raises InvalidArguments: they are no JSON that can be decoded.
        """
        if self.args_error is not None:
            raise InvalidArguments(self.args_error)
        return decode_values(self._data.json, self.attachments)[1:]

    def reply(self, *values: Any) -> None:
        """Acknowledge the event; callable from any task, now or later.

        Does nothing where the client does not wait for an answer, or is gone.

        :param values: JSON values, or binary ones.
        :raises AlreadyAnswered: at the second call.
        :raises TypeError: a value has no JSON form; the event is not answered then.
        """
        message = None
        if self._ack_id is not None and not self._answered:
            message = encode_ack(self._namespace, self._ack_id, values)
        self._answer(message)

    def reply_raw(self, json: bytes) -> None:
        """Acknowledge the event with one value whose JSON is there already.

        :raises AlreadyAnswered: at the second call.
        """
        message = None
        if self._ack_id is not None:
            message = encode_raw_ack(self._namespace, self._ack_id, json)
        self._answer(message)

    def reply_shared(self, json: bytes, acks: dict[tuple[str, int], Message]) -> None:
        """Acknowledge the event with a value that others are answered with, too.

        Who waits under the same ack id, as clients do that come back all at once, gets the
        same message.

        :param acks: where the acknowledgements with this value are kept, some at most.
        :raises AlreadyAnswered: at the second call.
        """
        message = None
        if self._ack_id is not None:
            key = (self._namespace, self._ack_id)
            message = acks.get(key)
            if message is None:
                message = encode_raw_ack(self._namespace, self._ack_id, json)
                if len(acks) < _SHARED_ACKS:
                    acks[key] = message
        self._answer(message)

    def _answer(self, message: Message | None) -> None:
        if self._answered:
            raise AlreadyAnswered(f"event {self.name!r} was answered before")
        self._answered = True
        if message is not None:
            self._answerer.send_ack(message)
            self._answerer.release_event()

    def __del__(self) -> None:
        # Nobody holds it any more, nor can answer it: it must not count against its client.
        if self.wants_ack and not self._answered:
            self._answerer.release_event()
        self._answerer.forget_event(self._size)

    def __repr__(self) -> str:
        return f"<Event {self.name!r}>"
