"""An outgoing message: encoded once, shared by all connections it is sent on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate
from typing import Final

from gbs_actor.socketio.websocket import frame as ws
from gbs_actor.socketio.websocket.frame import deflate

_CONTROL = object()
_PING = object()
WHOLE: Final = object()
"""The key of every :class:`DivisibleMessage`."""


class Message:
    """A text, binary values behind it, or several messages that go out together.

    Immutable, and safe to hand to any number of channels. The encoding for a transport is
    computed when it is first needed, and then kept.

    Attributes:
        key: slot in an outbox. A newer message with an equal key replaces an older one that
            is still queued; ``None``: it is never replaced.
        count: number of messages; 1 unless it is a bundle.

    :param text: UTF-8, sent as a WebSocket text message.
    :param attachments: sent behind it, as a binary message each.
    """

    __slots__ = (
        "_attachments",
        "_deflated",
        "_encoded",
        "_ends",
        "_parts",
        "_text",
        "_text_start",
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
        self._text_start = 0
        """Where the text is in the WebSocket frame, from when it is no longer kept by itself."""
        self._attachments = attachments
        self._websocket: bytes | None = None
        self._deflated: bytes | None = None
        self._encoded: tuple[Callable[[Message], bytes], bytes] | None = None
        self._ends: tuple[int, ...] | None = None
        """Where each message of a bundle ends in :attr:`websocket`, once it was cut."""

    @classmethod
    def binary(cls, payload: bytes, key: Hashable | None = None) -> Message:
        """Make one binary message, without any text."""
        return cls(b"", key=key, attachments=(payload,))

    @classmethod
    def control(cls, frame: bytes) -> Message:
        """Wrap a WebSocket control frame; a newer one replaces a queued one.

        RFC 6455 §5.5.3 allows this for pongs. A client that sends pings and reads nothing
        therefore cannot fill an outbox.
        """
        message = cls(b"", key=_CONTROL)
        message._websocket = message._deflated = frame
        return message

    @classmethod
    def head(cls, head: bytes) -> Message:
        """Wrap the head of the HTTP response that opens a WebSocket; it counts as no message."""
        message = cls(b"")
        message._websocket = head
        message.count = 0
        return message

    @classmethod
    def ping(cls) -> Message:
        """Make a WebSocket ping (RFC 6455 §5.5.2); at most one is queued."""
        message = cls(b"", key=_PING)
        message._websocket = message._deflated = ws.frame(b"", ws.PING)
        return message

    @classmethod
    def bundle(cls, messages: Iterable[Message]) -> Message:
        """Join messages into one buffer, and so into one system call per connection.

        Their order is kept. What cannot be written at once is queued message by message, so
        that the keyed ones among them can still be replaced by newer ones.

        :raises ValueError: there are no messages.
        """
        parts = tuple(messages)
        if not parts:
            raise ValueError("a bundle needs at least one message")
        if len(parts) == 1:
            return parts[0]
        bundle = cls(b"")
        bundle._parts = parts
        bundle.count = sum([part.count for part in parts])
        return bundle

    def cut(self, start: int, end: int) -> Message:
        """Return some messages of a bundle, as one; its frames are copied, not built again.

        :param start: index of the first one; the bundle must not hold other bundles.
        :param end: index behind the last one.
        """
        parts = self._parts[start:end]
        if len(parts) == 1:
            return parts[0]
        if self._ends is None:
            self._ends = (0, *accumulate([len(part.websocket) for part in self._parts]))
        piece = Message(b"")
        piece._parts = parts
        piece.count = len(parts)
        piece._websocket = self.websocket[self._ends[start] : self._ends[end]]
        return piece

    @property
    def parts(self) -> tuple[Message, ...]:
        """The messages of a bundle, and of bundles in it; else the message itself."""
        parts = self._parts
        if not parts:
            return (self,)  # not kept: a cycle would cost the garbage collector
        if len(parts) == self.count:
            return parts
        return tuple(part for message in parts for part in message.parts)

    @property
    def text(self) -> bytes:
        """The text; empty for a bundle, and if there is none."""
        if self._text_start and self._websocket is not None:
            return self._websocket[self._text_start :]
        return self._text

    @property
    def attachments(self) -> tuple[bytes, ...]:
        """Binary messages that follow the text."""
        return self._attachments

    @property
    def websocket(self) -> bytes:
        """The unmasked WebSocket frames, one per text or attachment."""
        encoded = self._websocket
        if encoded is None:
            if not self._parts:
                if not self._attachments:
                    encoded = ws.frame(self._text)
                    self._text_start = len(encoded) - len(self._text)
                    self._text = b""  # a list need not be in memory twice
                else:
                    frames = [ws.frame(payload, ws.BINARY) for payload in self._attachments]
                    encoded = b"".join([ws.frame(self._text), *frames] if self._text else frames)
            else:
                encoded = b"".join([part.websocket for part in self._parts])
            self._websocket = encoded
        return encoded

    @property
    def deflated(self) -> bytes:
        """The same frames compressed if that makes them smaller (RFC 7692)."""
        encoded = self._deflated
        if encoded is None:
            if not self._parts:
                encoded = b""
                if self.text or not self._attachments:
                    encoded = deflate(self.text, ws.TEXT) or ws.frame(self.text)
                for payload in self._attachments:
                    encoded += deflate(payload, ws.BINARY) or ws.frame(payload, ws.BINARY)
            else:
                encoded = b"".join([part.deflated for part in self._parts])
            self._deflated = encoded
        return encoded

    def encoded_by(self, encode: Callable[[Message], bytes]) -> bytes:
        """Return what ``encode`` makes of the message: for a transport of a layer above.

        Kept for the last ``encode`` alone: a message goes out over one more layer at most.

        :param encode: a module-level function, as it is the key of the cached bytes.
        """
        encoded = self._encoded
        if encoded is None or encoded[0] is not encode:
            encoded = self._encoded = (encode, encode(self))
        return encoded[1]

    def __repr__(self) -> str:
        if not self._parts:
            return f"<Message {self.text[:60]!r} key={self.key!r}>"
        return f"<Message bundle of {len(self._parts)}>"


class DivisibleMessage(Message):
    """A message that can also be sent as several smaller ones.

    It goes out whole unless it has to wait in a queue with another one: then both are divided, so
    that newer parts can replace older ones.

    :param text: UTF-8.
    :param divide: returns the parts; called once, when they are first needed. They have keys that
        only parts of divisible messages have.
    """

    __slots__ = ("_divide", "_divided")

    def __init__(self, text: bytes, divide: Callable[[], Sequence[Message]]) -> None:
        super().__init__(text, key=WHOLE)
        self._divide: Callable[[], Sequence[Message]] | None = divide
        self._divided: Sequence[Message] = ()

    @property
    def divided(self) -> Sequence[Message]:
        """The parts, the same for all queues."""
        divide, self._divide = self._divide, None
        if divide is not None:
            self._divided = divide()
        return self._divided
