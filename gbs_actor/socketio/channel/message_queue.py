"""The messages queued on one connection: in order, replaced by key, counted in bytes.

A keyed message replaces the older one with its key and goes to the end. Only whole, unsent
messages are replaced: the rest of a partly sent message is kept as bytes and goes first. A
divisible message is queued whole only until a second one comes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from gbs_actor.socketio.channel.memory_limit import LimitedOutbox, MemoryLimit
from gbs_actor.socketio.channel.message import WHOLE, DivisibleMessage, Message
from gbs_actor.socketio.channel.wire import Encode, Wire

_NONE: Final[OrderedDict[Hashable, Message]] = OrderedDict()
"""Of all that have nothing queued: an empty one is 0.1 KB. Nothing is ever added to it."""


class MessageQueue:
    """The messages that wait until they are sent, behind the rest of what is partly sent.

    :param encode: how messages are written.
    """

    __slots__ = (
        "_encode",
        "_memory",
        "_rest_of",
        "_unkeyed_bytes",
        "_waiting",
        "bytes",
        "conflated",
        "rest",
        "unkeyed",
    )

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._waiting = _NONE
        self.rest: memoryview | None = None
        """What is left of partly sent messages."""
        self._rest_of: tuple[Message, ...] = ()
        """The messages that the rest is of."""
        self._memory: tuple[MemoryLimit, ...] = ()
        self.bytes = 0
        """Bytes of the queued messages, all of a partly sent one included."""
        self.unkeyed = 0
        """Whole messages without a key."""
        self._unkeyed_bytes = 0
        self.conflated = 0
        """Messages that a newer one with the same key has replaced."""

    def __len__(self) -> int:
        """Return how many whole messages are queued."""
        return len(self._waiting)

    @property
    def pending(self) -> bool:
        """Whether anything is queued."""
        return self.rest is not None or bool(self._waiting)

    @property
    def unkeyed_bytes(self) -> int:
        """Bytes of the messages without a key, and of any rest."""
        return self._unkeyed_bytes + (0 if self.rest is None else len(self.rest))

    @property
    def unsent_bytes(self) -> int:
        """Bytes of the whole messages, and of any rest."""
        if self.rest is None:
            return self.bytes
        return self.bytes - sum(map(len, map(self._encode, self._rest_of))) + len(self.rest)

    def messages(self) -> list[Message]:
        """Return the messages, a partly sent one included."""
        return [*self._rest_of, *self._waiting.values()]

    def append(self, message: Message) -> None:
        """Add a message at the end, in place of the one with its key."""
        if self._waiting is _NONE:
            self._waiting = OrderedDict()
        key = message.key
        if key is None:
            # A new object is a key that equals no other.
            self._waiting[message if message not in self._waiting else object()] = message
            self.unkeyed += 1
            self._unkeyed_bytes += len(self._encode(message))
        elif key is WHOLE and len(self._waiting) > self.unkeyed:
            assert isinstance(message, DivisibleMessage)
            self._divide_whole()
            for part in message.divided:
                self.append(part)
            return
        else:
            older = self._waiting.pop(key, None)
            if older is not None:
                self._release(older)
                self.conflated += 1
                for limit in self._memory:
                    limit.conflated += 1
            self._waiting[key] = message
        self._hold(message)

    def _divide_whole(self) -> None:
        """Put the parts of the divisible message that is queued whole, if one is, in its place."""
        if WHOLE not in self._waiting:
            return
        waiting, self._waiting = self._waiting, OrderedDict()
        for key, message in waiting.items():
            if isinstance(message, DivisibleMessage):
                self._release(message)
                for part in message.divided:
                    self.append(part)
            else:
                self._waiting[key] = message

    def first(self, wire: Wire) -> list[Message]:
        """Return the whole messages that come first, as many as a wire joins."""
        batch: list[Message] = []
        size = 0
        for message in self._waiting.values():
            size += len(self._encode(message))
            if batch and (size > wire.batch or len(batch) == wire.batch_messages):
                break
            size += len(wire.separator)
            batch.append(message)
        return batch

    def join(self, batch: list[Message], wire: Wire) -> bytes:
        """Return the messages of a batch as they are written at once."""
        if len(batch) == 1:
            return self._encode(batch[0])
        return wire.separator.join(map(self._encode, batch))

    def remove_first(self) -> None:
        """Remove the whole message that comes first."""
        _, message = self._waiting.popitem(last=False)
        self._release(message)
        if message.key is None:
            self.unkeyed -= 1
            self._unkeyed_bytes -= len(self._encode(message))
        if not self._waiting:
            self._waiting = _NONE

    def set_rest(self, rest: memoryview, *messages: Message) -> None:
        """Keep the rest of messages that are partly sent."""
        self._rest_of = messages
        self.rest = rest
        for message in messages:
            self._hold(message)

    def shorten_rest(self, sent: int) -> None:
        """Remove bytes that were sent from the rest."""
        assert self.rest is not None
        if sent < len(self.rest):
            self.rest = self.rest[sent:]
        else:
            self.drop_rest()

    def drop_rest(self) -> None:
        """Remove the rest, if there is one."""
        for message in self._rest_of:
            self._release(message)
        self.rest, self._rest_of = None, ()

    def clear(self) -> None:
        """Remove the whole messages."""
        for message in self._waiting.values():
            self._release(message)
        self._waiting = _NONE
        self.unkeyed = self._unkeyed_bytes = 0

    def change_encoding(self, encode: Encode, convert: Callable[[bytes], bytes]) -> None:
        """Count what is queued as it is written on another wire.

        :param convert: converts the rest.
        """
        if self.rest is not None:
            self.rest = memoryview(convert(bytes(self.rest)))
        self._encode = encode
        unkeyed = (message for message in self._waiting.values() if message.key is None)
        self._unkeyed_bytes = sum(map(len, map(encode, unkeyed)))
        self.bytes = sum(map(len, map(encode, self.messages())))

    # Limits shared with other connections.

    def add_limit(self, limit: MemoryLimit, owner: LimitedOutbox) -> None:
        """Count what is queued against a limit."""
        self._memory = (*self._memory, limit)
        limit.add(owner)
        for message in self.messages():
            limit.hold(message, len(self._encode(message)))

    def remove_limit(self, limit: MemoryLimit, owner: LimitedOutbox) -> None:
        """Count nothing against a limit any more. Idempotent."""
        if limit in self._memory:
            self._memory = tuple(each for each in self._memory if each is not limit)
            for message in self.messages():
                limit.release(message)
            limit.discard(owner)

    def enforce_limits(self) -> None:
        """Close connections, where a limit is exceeded."""
        for limit in self._memory:
            if limit.bytes > limit.limit:  # a call for each message would cost
                limit.enforce()

    def _hold(self, message: Message) -> None:
        size = len(self._encode(message))
        self.bytes += size
        for limit in self._memory:
            limit.hold(message, size)

    def _release(self, message: Message) -> None:
        self.bytes -= len(self._encode(message))
        for limit in self._memory:
            limit.release(message)
