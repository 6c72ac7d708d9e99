"""What goes out: encoded once, shared by every connection that gets it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import msgspec

from gbs_actor.socketio.channel import frame as ws
from gbs_actor.socketio.channel.deflate import deflate
from gbs_actor.socketio.engineio.payload import SEPARATOR, encode_binary
from gbs_actor.socketio.packet import PacketType, encode_head, encode_values

_CONTROL = object()
_PING = object()


class Message:
    """One packet or text, or several that go out together.

    Immutable, and safe to hand to any number of sockets. The wire encoding of a
    transport is computed when it is first needed, and then kept.

    Attributes:
        key: slot in an outbox. A newer message with an equal key removes an older one
            that still waits; ``None`` for messages of which none may be missing.
        count: how many messages it stands for; 1 unless it is a bundle.
    """

    __slots__ = (
        "_attachments",
        "_deflated",
        "_parts",
        "_polling",
        "_text",
        "_websocket",
        "count",
        "key",
    )

    def __init__(
        self, text: bytes, *, key: Hashable | None = None, attachments: tuple[bytes, ...] = ()
    ) -> None:
        self.key = key
        self.count = 1
        self._parts: tuple[Message, ...] = ()
        self._text = text
        self._attachments = attachments
        self._websocket: bytes | None = None
        self._deflated: bytes | None = None
        self._polling: bytes | None = None

    @classmethod
    def binary(cls, payload: bytes) -> Message:
        """Make one Engine.IO message of bytes; nothing of Socket.IO."""
        return cls(b"", attachments=(payload,))

    @classmethod
    def bare(cls, text: bytes, key: Hashable | None = None) -> Message:
        """Make a WebSocket text message that is the text itself: nothing of Engine.IO.

        :param text: UTF-8.
        """
        return cls(text, key=key)

    @classmethod
    def event(cls, namespace: str, name: str, *args: Any, key: Hashable | None = None) -> Message:
        """Encode one EVENT packet.

        :param args: JSON values, or anything msgspec can encode as such; binary values
            become attachments.
        :param key: see the class; it counts within the namespace.
        :raises TypeError: an argument has no JSON form.
        """
        json, attachments = encode_values((name, *args))
        return cls._packet(PacketType.EVENT, namespace, None, json, attachments, key=key)

    @classmethod
    def raw_event(
        cls,
        namespace: str,
        name: str,
        json: bytes,
        key: Hashable | None = None,
        *,
        offset: str | None = None,
    ) -> Message:
        """Make an EVENT packet of one argument whose JSON is there already.

        :param json: compact UTF-8 JSON; taken as it is, so it has to be right.
        :param key: see the class; it counts within the namespace.
        :param offset: a second argument, for clients whose sessions can be recovered.
        """
        head = encode_head(PacketType.EVENT, namespace)
        slot = None if key is None else (namespace, key)
        values = b"%b,%b" % (msgspec.json.encode(name), json)
        if offset is not None:
            values = b"%b,%b" % (values, msgspec.json.encode(offset))
        return cls(b"%b[%b]" % (head, values), key=slot)

    @classmethod
    def ack(cls, namespace: str, ack_id: int, values: Iterable[Any]) -> Message:
        """Encode one ACK packet.

        :raises TypeError: a value has no JSON form.
        """
        json, attachments = encode_values(tuple(values))
        return cls._packet(PacketType.ACK, namespace, ack_id, json, attachments, key=None)

    @classmethod
    def raw_ack(cls, namespace: str, ack_id: int, json: bytes) -> Message:
        """Make an ACK packet of one value whose JSON is there already."""
        return cls(b"%b[%b]" % (encode_head(PacketType.ACK, namespace, ack_id), json))

    @classmethod
    def control(cls, frame: bytes) -> Message:
        """Wrap a WebSocket control frame; of several that wait only the last is sent.

        That is what RFC 6455 §5.5.3 allows for pongs, so that a client that sends pings
        and reads nothing cannot fill an outbox.
        """
        message = cls(b"", key=_CONTROL)
        message._websocket = message._deflated = frame
        return message

    @classmethod
    def ping(cls) -> Message:
        """Make a WebSocket ping (RFC 6455 §5.5.2); of several that wait one is sent."""
        message = cls(b"", key=_PING)
        message._websocket = message._deflated = ws.frame(b"", ws.PING)
        return message

    @classmethod
    def bundle(cls, messages: Iterable[Message]) -> Message:
        """Join messages into one buffer, and so into one system call per connection.

        Their order is kept. What cannot go out at once waits message by message, so
        that the keyed ones among them can still be replaced by newer ones.

        :raises ValueError: there are no messages.
        """
        parts = tuple(part for message in messages for part in message.parts)
        if not parts:
            raise ValueError("a bundle needs at least one message")
        if len(parts) == 1:
            return parts[0]
        bundle = cls(b"")
        bundle._parts = parts
        bundle.count = len(parts)
        return bundle

    @classmethod
    def _packet(
        cls,
        kind: PacketType,
        namespace: str,
        ack_id: int | None,
        json: bytes,
        attachments: list[bytes],
        *,
        key: Hashable | None,
    ) -> Message:
        slot = None if key is None else (namespace, key)
        if not attachments:
            return cls(encode_head(kind, namespace, ack_id) + json, key=slot)
        binary = PacketType.BINARY_EVENT if kind is PacketType.EVENT else PacketType.BINARY_ACK
        head = encode_head(binary, namespace, ack_id, len(attachments))
        return cls(head + json, key=slot, attachments=tuple(attachments))

    @property
    def parts(self) -> tuple[Message, ...]:
        """The messages of a bundle, else the message itself."""
        return self._parts or (self,)  # not kept: a cycle would cost the garbage collector

    @property
    def text(self) -> bytes:
        """The packet's text, or the bare one; empty for a bundle, and where there is none."""
        return self._text

    @property
    def attachments(self) -> tuple[bytes, ...]:
        """Binary packets that follow the text."""
        return self._attachments

    @property
    def websocket(self) -> bytes:
        """The unmasked WebSocket frames, a packet each."""
        encoded = self._websocket
        if encoded is None:
            if not self._parts:
                if not self._attachments:
                    encoded = ws.frame(self._text)
                else:
                    frames = [ws.frame(payload, ws.BINARY) for payload in self._attachments]
                    encoded = b"".join([ws.frame(self._text), *frames] if self._text else frames)
            else:
                encoded = b"".join([part.websocket for part in self._parts])
            self._websocket = encoded
        return encoded

    @property
    def deflated(self) -> bytes:
        """The same frames compressed where that makes them smaller (RFC 7692)."""
        encoded = self._deflated
        if encoded is None:
            if not self._parts:
                encoded = b""
                if self._text or not self._attachments:
                    encoded = deflate(self._text, ws.TEXT) or ws.frame(self._text)
                for payload in self._attachments:
                    encoded += deflate(payload, ws.BINARY) or ws.frame(payload, ws.BINARY)
            else:
                encoded = b"".join([part.deflated for part in self._parts])
            self._deflated = encoded
        return encoded

    @property
    def polling(self) -> bytes:
        """The packets as they stand in a long-polling payload."""
        encoded = self._polling
        if encoded is None:
            if not self._parts:
                packets = [*map(encode_binary, self._attachments)]
                if self._text or not packets:
                    packets.insert(0, self._text)
                encoded = SEPARATOR.join(packets)
            else:
                encoded = SEPARATOR.join([part.polling for part in self._parts])
            self._polling = encoded
        return encoded

    def __repr__(self) -> str:
        if not self._parts:
            return f"<Message {self._text[:60]!r} key={self.key!r}>"
        return f"<Message bundle of {len(self._parts)}>"
