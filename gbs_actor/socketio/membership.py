"""The namespaces one client has joined, and which packets it may therefore send.

Sans-I/O: packets in, decoded packets out; no clock, no task.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from sys import intern
from typing import Final

import msgspec
from msgspec import UNSET

from gbs_actor.socketio.packet import (
    EVENTS,
    MAX_ID_DIGITS,
    RESERVED_EVENTS,
    ROOT,
    EventData,
    Packet,
    PacketType,
    check_array,
    decode_event,
    decode_object,
    decode_packet,
    decoded_size,
)
from gbs_actor.socketio.received import (
    AckReceived,
    ConnectReceived,
    DisconnectReceived,
    EventReceived,
    Received,
    UnknownNamespace,
    UsualHead,
)
from gbs_actor.socketio.websocket.close_code import CloseCode, ProtocolViolation

_decode_usual: Final = msgspec.json.Decoder(UsualHead).decode


class Membership:
    """Decodes what one client sends, and checks it against the namespaces it has joined.

    :param namespaces: the names that exist.
    :param max_connect_bytes: memory that the decoded payload of a CONNECT may take.
    :param max_attachments: binary values in one event.
    :param max_attachment_bytes: their size together.
    """

    __slots__ = (
        "_attachment_bytes",
        "_attachments",
        "_event_prefix",
        "_joined",
        "_left",
        "_max_attachment_bytes",
        "_max_attachments",
        "_max_connect_bytes",
        "_namespaces",
        "_unfinished",
        "ever_joined",
    )

    def __init__(
        self,
        namespaces: Container[str],
        *,
        max_connect_bytes: int = 1_000_000,
        max_attachments: int,
        max_attachment_bytes: int,
    ) -> None:
        self._namespaces = namespaces
        self._max_connect_bytes = max_connect_bytes
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes
        self._joined: tuple[str, ...] = ()
        """The namespaces that it has joined, or is about to; few, and a dict is 0.2 KB."""
        self._left: tuple[str, ...] = ()
        """Those that it has joined before, or has been refused."""
        self._event_prefix: str | None = None
        """What the packets of events begin with, in the namespace that was joined first."""
        self._unfinished: Packet | None = None
        self._attachments: list[bytes] | None = None
        self._attachment_bytes = 0
        self.ever_joined = False
        """Whether a namespace was joined; if not in time, the connection is closed."""

    def accepted(self) -> None:
        """Note that the client was accepted in a namespace."""
        self.ever_joined = True

    def leave(self, namespace: str) -> None:
        """Note that the server removes the client from a namespace, or refuses it.

        Packets of the client for it are ignored from now on: they may be in flight.
        """
        self._set_joined(_without(self._joined, namespace))
        self._left = (*_without(self._left, namespace), namespace)

    def receive_text(self, text: str, start: int = 0) -> Received | None:
        """Decode one text packet; ``None`` if there is nothing to do.

        :param start: index of the packet's first character in ``text``.
        :raises ProtocolViolation: the connection must be closed.
        """
        if self._unfinished is not None:
            raise ProtocolViolation("text packet in the middle of attachments")
        return self._receive(decode_packet(text, start))

    def receive_usual(self, text: str, start: int = 0) -> EventReceived | None:
        """Decode what nearly all packets are, at once, as :meth:`receive_text` does.

        That is an event with a text as name, in the namespace that was joined first.

        :returns: ``None`` if the packet is something else; nothing is done then.
        """
        prefix = self._event_prefix
        if prefix is None or self._unfinished is not None or not text.startswith(prefix, start):
            return None
        at = start + len(prefix)
        bracket = text.find("[", at)  # without one the rest, a character, is no array
        digits = text[at:bracket]
        if len(digits) > MAX_ID_DIGITS:
            return None
        if digits and not (digits.isdigit() and digits.isascii()):
            return None
        json = text[bracket:]
        try:
            head = _decode_usual(json)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        name, first = head.name, head.first
        if name in RESERVED_EVENTS:
            return None
        data = EventData(name, json, None if first is UNSET else first)
        return EventReceived(self._joined[0], int(digits) if digits else None, data)

    def _set_joined(self, names: tuple[str, ...]) -> None:
        self._joined = names
        self._event_prefix = _event_prefix(names[0]) if names else None

    def receive_binary(self, payload: bytes) -> Received | None:
        """Add one attachment; ``None`` if more have to follow.

        :raises ProtocolViolation: none was announced, or they are too large together.
        """
        packet, attachments = self._unfinished, self._attachments
        if packet is None or attachments is None:
            raise ProtocolViolation("attachment that was not announced")
        attachments.append(payload)
        self._attachment_bytes += len(payload)
        if self._attachment_bytes > self._max_attachment_bytes:
            raise ProtocolViolation("attachments are too large", CloseCode.TOO_LARGE)
        if len(attachments) < packet.attachments:
            return None
        self._unfinished = self._attachments = None
        self._attachment_bytes = 0
        return self._complete(packet, tuple(attachments))

    def _receive(self, packet: Packet) -> Received | None:
        kind = packet.type
        if kind is PacketType.CONNECT:
            return self._connect(packet)
        if kind is PacketType.CONNECT_ERROR:
            raise ProtocolViolation("CONNECT_ERROR from a client")
        if packet.attachments:
            if packet.attachments > self._max_attachments:
                raise ProtocolViolation("too many attachments", CloseCode.TOO_LARGE)
            if packet.namespace not in self._joined and packet.namespace not in self._left:
                raise ProtocolViolation("packet for a namespace that was never joined")
            self._unfinished, self._attachments = packet, []
            return None
        return self._complete(packet, ())

    def _connect(self, packet: Packet) -> Received:
        if decoded_size(packet.json) > self._max_connect_bytes:
            # It is kept as long as the connection, whose client is not authenticated yet.
            raise ProtocolViolation("CONNECT payload is too large", CloseCode.TOO_LARGE)
        auth = decode_object(packet.json) if packet.json else None
        namespace = packet.namespace
        if namespace not in self._namespaces:
            return UnknownNamespace(namespace)
        if namespace in self._joined:
            raise ProtocolViolation("second CONNECT to the same namespace")
        self._set_joined((*self._joined, intern(namespace)))
        self._left = _without(self._left, namespace)
        return ConnectReceived(namespace, auth)

    def _complete(self, packet: Packet, attachments: tuple[bytes, ...]) -> Received | None:
        namespace = packet.namespace
        kind = packet.type
        if namespace not in self._joined:
            if namespace not in self._left:
                raise ProtocolViolation("packet for a namespace that was never joined")
            return None  # not even decoded: a client that was never accepted must not cause work
        if kind in EVENTS:
            data = decode_event(packet.json)
            return EventReceived(namespace, packet.ack_id, data, attachments)
        if kind is PacketType.DISCONNECT:
            if packet.json:
                raise ProtocolViolation("DISCONNECT with a payload")
            self.leave(namespace)
            return DisconnectReceived(namespace)
        check_array(packet.json)
        if packet.ack_id is None:
            return None
        return AckReceived(namespace, packet.ack_id, packet.json, attachments)


@lru_cache(maxsize=64)
def _event_prefix(namespace: str) -> str:
    return PacketType.EVENT.value + ("" if namespace == ROOT else f"{namespace},")


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)
