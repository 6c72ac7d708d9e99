"""The queue of one connection: bounded, in order, never blocking the sender.

The outbox is the only code that writes to a connection, once a channel is open on it. A
message is written at once if nothing is queued; else it is queued, and a keyed message
replaces the older one with its key and goes to the end. Only whole, unsent messages are
replaced: the rest of a partly sent message is kept as bytes and goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio

from gbs_actor.socketio.channel.memory_limit import MemoryLimit
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.wire import Wire

_SMALL_REST: Final = 65_536


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may be queued on one connection."""

    pause_messages: int = 256
    """Unkeyed messages above which reading pauses."""
    pause_bytes: int = 1_000_000
    """Bytes of unkeyed messages, and of one partly sent, above which reading pauses."""
    outbox_messages: int = 20_000
    """Unkeyed messages above which the connection is closed."""
    outbox_bytes: int = 16_777_216
    """Bytes of queued messages above which it is closed; one alone may be larger."""
    max_keys: int = 65_536
    """Keyed messages above which it is closed: a bound where keys are not bounded."""


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """How far behind a connection is, and what it has sent."""

    queued: int
    """Messages, one that is partly sent included."""
    queued_bytes: int
    conflated: int
    """Queued messages that a newer one with the same key has replaced."""
    behind_for: float
    """Seconds since nothing was queued; 0 if nothing is."""
    sent_messages: int
    """Packets that went out as a whole; a bundle counts as many."""
    sent_bytes: int


class OutboxOwner(Protocol):
    """The channel an outbox belongs to. No method may block or raise."""

    def start_writer(self, writer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run :meth:`Outbox.write` in a task of the connection."""
        ...

    def outbox_broken(self, error: BaseException) -> None:
        """Called when the connection cannot be written to any more."""
        ...

    def outbox_overflowed(self) -> None:
        """Called when too much is queued; the connection has to be closed."""
        ...

    def outbox_drained(self) -> None:
        """Called when the outbox is no longer :attr:`Outbox.congested`."""
        ...


class Outbox:
    """The queued messages of one connection, and the only way to its wire.

    No method but :meth:`write` blocks, and none raises for what the peer does.
    """

    __slots__ = (
        "_bytes",
        "_closing",
        "_conflated",
        "_congested",
        "_encode",
        "_ended",
        "_limits",
        "_memory",
        "_owner",
        "_rest",
        "_rest_of",
        "_send_direct",
        "_sent_bytes",
        "_sent_messages",
        "_unkeyed",
        "_unkeyed_bytes",
        "_waiting",
        "_wire",
        "_writing",
        "behind_since",
        "flushed",
    )

    def __init__(self, wire: Wire, owner: OutboxOwner, limits: OutboxLimits) -> None:
        self._set_wire(wire)
        self._owner = owner
        self._limits = limits
        self._waiting: OrderedDict[Hashable, Message] = OrderedDict()
        self._rest: memoryview | None = None
        self._rest_of: tuple[Message, ...] = ()
        """The messages that the rest is of."""
        self._memory: tuple[MemoryLimit, ...] = ()
        self._bytes = 0
        """Bytes of the queued messages, all of a partly sent one included."""
        self._unkeyed = 0
        self._unkeyed_bytes = 0
        self._writing = False
        self._congested = False
        self._closing = False
        self._ended = False
        self._conflated = 0
        self.behind_since: float | None = None
        """Trio time since which something is queued; ``None``: nothing is."""
        self._sent_messages = 0
        self._sent_bytes = 0
        self.flushed = trio.Event()
        """Set once everything has been written, the last message included, or was dropped."""

    @property
    def congested(self) -> bool:
        """Whether so much is queued that reading the peer should pause."""
        return self._congested

    @property
    def ready(self) -> bool:
        """Whether a message sent now would be written at once, as nothing is queued."""
        return not self._closing and not self._writing and self._wire.ready

    @property
    def waiting(self) -> bool:
        """Whether anything is queued."""
        return bool(self._waiting) or self._rest is not None

    @property
    def stuck(self) -> bool:
        """Whether much is left of a partly sent message, which would have to be sent first."""
        return self._rest is not None and len(self._rest) > _SMALL_REST

    @property
    def queued_bytes(self) -> int:
        """Bytes of the queued messages, all of a partly sent one included."""
        return self._bytes

    def held_messages(self) -> list[Message]:
        """Return the queued messages, a partly sent one included."""
        return [*self._rest_of, *self._waiting.values()]

    def overflow(self) -> None:
        """Close the connection, as too much is queued."""
        self._owner.outbox_overflowed()

    def add_limit(self, limit: MemoryLimit) -> None:
        """Count what is queued against a limit that is shared with other connections."""
        self._memory = (*self._memory, limit)
        limit.add(self)
        for message in self.held_messages():
            limit.hold(message, len(self._encode(message)))

    def remove_limit(self, limit: MemoryLimit) -> None:
        """Count nothing against a shared limit any more. Idempotent."""
        if limit in self._memory:
            self._memory = tuple(each for each in self._memory if each is not limit)
            for message in self.held_messages():
                limit.release(message)
            limit.discard(self)

    @property
    def sent_bytes(self) -> int:
        """Bytes that have been written."""
        return self._sent_bytes

    @property
    def sent_messages(self) -> int:
        """Packets that have been written, or begun."""
        return self._sent_messages

    def statistics(self) -> OutboxStatistics:
        """Return how far behind the connection is."""
        rest = self._rest
        queued_bytes = sum(map(len, map(self._encode, self._waiting.values())))
        return OutboxStatistics(
            queued=len(self._waiting) + (rest is not None),
            queued_bytes=queued_bytes + (0 if rest is None else len(rest)),
            conflated=self._conflated,
            behind_for=(
                0.0
                if self.behind_since is None
                else max(0.0, trio.current_time() - self.behind_since)
            ),
            sent_messages=self._sent_messages,
            sent_bytes=self._sent_bytes,
        )

    def send(self, message: Message) -> None:
        """Send a message now, or queue it. After the end, do nothing."""
        if self._closing:
            return
        send = self._send_direct
        if self._writing or send is None:
            for part in message.parts:
                self._queue(part)
            if not self._writing:
                self._start_writer()
            self._check_limits()
            return
        data = self._encode(message)
        try:
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(error)
            return
        self._sent_bytes += sent
        if sent == len(data):
            self._sent_messages += message.count
            return
        for part in message.parts:
            sent = self._record_sent(part, sent)
        self._start_writer()
        self._check_limits()

    def finish(self, last: Message | None, *, discard: bool = False) -> None:
        """Write what is queued, then ``last``; ignore later messages.

        :param last: the last message, such as a close frame.
        :param discard: drop what is queued, except the rest of a message that went out in part.
        """
        if self._closing:
            return
        if discard:
            self._clear()
        if last is not None:
            self.send(last)
        self._closing = True
        if not self._writing:
            self.flushed.set()

    def move(self, wire: Wire, convert: Callable[[bytes], bytes]) -> None:
        """Continue on another wire, with all that is queued: the client has upgraded.

        If the writer waits for the former wire, that wire's owner has to wake it.

        :param convert: converts the rest of a partly sent message to the new wire's encoding.
        """
        if self._rest is not None:
            self._rest = memoryview(convert(bytes(self._rest)))
        self._set_wire(wire)
        unkeyed = (message for message in self._waiting.values() if message.key is None)
        self._unkeyed_bytes = sum(map(len, map(self._encode, unkeyed)))
        self._bytes = sum(map(len, map(self._encode, self.held_messages())))

    def _set_wire(self, wire: Wire) -> None:
        self._wire = wire
        # Looked up once: a fan-out uses them at every connection.
        self._encode = wire.encode
        self._send_direct = wire.send_nowait if wire.direct else None

    def stop(self) -> None:
        """Drop everything, and write nothing from now on."""
        self._closing = self._ended = True
        self._set_rest(None)
        self._clear()
        self.flushed.set()

    async def write(self) -> None:
        """Write until nothing is queued; the task behind :meth:`OutboxOwner.start_writer`.

        Cancelled, the stream may end in the middle of a message: nothing can be
        written after that.
        """
        try:
            while self._has_pending():
                await self._wire.wait_writable()
                if not self._has_pending():
                    break
                if self._wire.immediate:
                    self._write_some()
                else:
                    await self._write_batch()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._break(error)
        finally:
            self._writing = False

    def _has_pending(self) -> bool:
        if self._ended:
            return False
        if self._rest is not None or self._waiting:
            return True
        self.behind_since = None
        if self._closing:
            self.flushed.set()
        return False

    def _write_some(self) -> None:
        """Write what the socket accepts now; messages not begun can still be replaced."""
        rest = self._rest
        batch: list[Message] = []
        if rest is not None:
            data: bytes | memoryview = rest
        else:
            batch = self._next_batch()
            data = self._join(batch)
        try:
            sent = self._wire.send_nowait(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error)
            return
        self._sent_bytes += sent
        if rest is not None:
            if sent < len(rest):
                self._rest = rest[sent:]
            else:
                self._set_rest(None)
        for message in batch:
            if sent <= 0:
                break
            self._remove(message)
            sent = self._record_sent(message, sent)
        self._check_drained()

    async def _write_batch(self) -> None:
        """Write a batch; its messages cannot be replaced any more."""
        rest = self._rest
        if rest is None:
            batch = self._next_batch()
            for message in batch:
                self._remove(message)
            rest = memoryview(self._join(batch))
            self._set_rest(rest, *batch)
            self._sent_messages += len(batch)
            self._check_drained()
        await self._wire.send_all(rest)
        self._sent_bytes += len(rest)
        self._set_rest(None)
        self._check_drained()

    def _next_batch(self) -> list[Message]:
        batch: list[Message] = []
        size = 0
        wire = self._wire
        for message in self._waiting.values():
            size += len(self._encode(message))
            if batch and (size > wire.batch or len(batch) == wire.batch_messages):
                break
            size += len(wire.separator)
            batch.append(message)
        return batch

    def _join(self, batch: list[Message]) -> bytes:
        if len(batch) == 1:
            return self._encode(batch[0])
        return self._wire.separator.join(map(self._encode, batch))

    def _record_sent(self, message: Message, sent: int) -> int:
        """Record how much of ``sent`` bytes is of a message; queue its rest, return the excess."""
        encoded = self._encode(message)
        size = len(encoded)
        if sent >= size:
            self._sent_messages += 1
            return sent - size - len(self._wire.separator)
        if sent > 0:
            self._set_rest(memoryview(encoded)[sent:], message)
            self._sent_messages += 1
        else:
            self._queue(message)
        return 0

    def _queue(self, message: Message) -> None:
        key = message.key
        if key is None:
            # A new object is a key that equals no other.
            self._waiting[message if message not in self._waiting else object()] = message
            self._unkeyed += 1
            self._unkeyed_bytes += len(self._encode(message))
        else:
            older = self._waiting.pop(key, None)
            if older is not None:
                self._release(older)
                self._conflated += 1
            self._waiting[key] = message
        self._hold(message)

    def _set_rest(self, rest: memoryview | None, *messages: Message) -> None:
        """Keep the rest of messages that were partly sent; ``None``: all was sent."""
        for message in self._rest_of:
            self._release(message)
        self._rest, self._rest_of = rest, messages
        for message in messages:
            self._hold(message)

    def _hold(self, message: Message) -> None:
        size = len(self._encode(message))
        self._bytes += size
        for limit in self._memory:
            limit.hold(message, size)

    def _release(self, message: Message) -> None:
        self._bytes -= len(self._encode(message))
        for limit in self._memory:
            limit.release(message)

    def _remove(self, message: Message) -> None:
        self._waiting.popitem(last=False)
        self._release(message)
        if message.key is None:
            self._unkeyed -= 1
            self._unkeyed_bytes -= len(self._encode(message))

    def _clear(self) -> None:
        for message in self._waiting.values():
            self._release(message)
        self._waiting.clear()
        self._unkeyed = self._unkeyed_bytes = 0

    def _check_limits(self) -> None:
        limits = self._limits
        if self._unkeyed > limits.pause_messages or self._unkeyed_size > limits.pause_bytes:
            self._congested = True
        waiting = len(self._waiting)
        if (
            self._unkeyed > limits.outbox_messages
            or waiting - self._unkeyed > limits.max_keys
            or (self._bytes > limits.outbox_bytes and waiting > 1)
        ):
            self._owner.outbox_overflowed()
        for limit in self._memory:
            limit.enforce()

    def _check_drained(self) -> None:
        limits = self._limits
        if (
            self._congested
            and self._unkeyed <= limits.pause_messages // 2
            and self._unkeyed_size <= limits.pause_bytes // 2
        ):
            self._congested = False
            self._owner.outbox_drained()

    @property
    def _unkeyed_size(self) -> int:
        return self._unkeyed_bytes + (0 if self._rest is None else len(self._rest))

    def _start_writer(self) -> None:
        self._writing = True
        self.behind_since = trio.current_time()
        self._owner.start_writer(self.write)

    def _break(self, error: BaseException) -> None:
        if not self._ended:
            self.stop()
            self._owner.outbox_broken(error)
