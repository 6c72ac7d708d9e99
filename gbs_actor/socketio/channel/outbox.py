"""The queue of one connection: bounded, in order, never blocking the sender.

The outbox is the only code that writes to a connection, once a channel is open on it. A
message is written at once if nothing is queued; else it waits until the writer, a task of the
connection, has written what is before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import trio

from gbs_actor.socketio.channel.memory_limit import MemoryLimit
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.message_queue import MessageQueue
from gbs_actor.socketio.channel.outbox_limits import OutboxLimits, OutboxStatistics
from gbs_actor.socketio.channel.wire import WEBSOCKET, Wire
from gbs_actor.socketio.websocket import frame as ws

_SMALL_REST: Final = 65_536


class OutboxOwner(Protocol):
    """The channel an outbox belongs to. No method may block or raise."""

    def start_writer(self) -> None:
        """Run :meth:`Outbox.write` in a task, or :meth:`Outbox.write_some` when the wire is ready.

        Called when something is queued; the writer ends when nothing is.
        """
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
        "_closing",
        "_encode",
        "_ended",
        "_flushed",
        "_frame",
        "_held",
        "_limits",
        "_owner",
        "_queue",
        "_send_direct",
        "_wire",
        "_writing",
        "behind_since",
        "congested",
        "sent_bytes",
        "sent_messages",
    )

    def __init__(self, wire: Wire, owner: OutboxOwner, limits: OutboxLimits) -> None:
        self._set_wire(wire)
        self._owner = owner
        self._limits = limits
        self._queue = MessageQueue(wire.encode)
        self._held: list[Message] | None = None
        self._writing = False
        self.congested = False
        """Whether so much is queued that reading the peer should pause."""
        self._closing = False
        self._ended = False
        self.behind_since: float | None = None
        """Trio time since which something is queued; ``None``: nothing is."""
        self.sent_messages = 0
        """Packets that have been written, or begun."""
        self.sent_bytes = 0
        """Bytes that have been written."""
        self._flushed: trio.Event | None = None

    @property
    def flushed(self) -> trio.Event:
        """Set once everything has been written, the last message included, or was dropped."""
        if self._flushed is None:  # not before it is needed: it is a third of an idle outbox
            self._flushed = trio.Event()
        return self._flushed

    @property
    def ready(self) -> bool:
        """Whether a message sent now would be written at once, as nothing is queued."""
        return not self._closing and not self._writing and self._wire.ready

    @property
    def waiting(self) -> bool:
        """Whether anything is queued."""
        return self._queue.pending

    @property
    def stuck(self) -> bool:
        """Whether much is left of a partly sent message, which would have to be sent first."""
        rest = self._queue.rest
        return rest is not None and len(rest) > _SMALL_REST

    @property
    def queued_bytes(self) -> int:
        """Bytes of the queued messages, all of a partly sent one included."""
        return self._queue.bytes

    def queued_messages(self) -> list[Message]:
        """Return the queued messages, a partly sent one included."""
        return self._queue.messages()

    def overflow(self) -> None:
        """Close the connection, as too much is queued."""
        self._owner.outbox_overflowed()

    def add_limit(self, limit: MemoryLimit) -> None:
        """Count what is queued against a limit that is shared with other connections."""
        self._queue.add_limit(limit, self)

    def remove_limit(self, limit: MemoryLimit) -> None:
        """Count nothing against a shared limit any more. Idempotent."""
        self._queue.remove_limit(limit, self)

    def statistics(self) -> OutboxStatistics:
        """Return how far behind the connection is."""
        queue = self._queue
        return OutboxStatistics(
            queued=len(queue) + (queue.rest is not None),
            queued_bytes=queue.unsent_bytes,
            conflated=queue.conflated,
            behind_for=(
                0.0
                if self.behind_since is None
                else max(0.0, trio.current_time() - self.behind_since)
            ),
            sent_messages=self.sent_messages,
            sent_bytes=self.sent_bytes,
        )

    def send(self, message: Message) -> None:
        """Send a message now, or queue it. After the end, do nothing."""
        if self._closing:
            return
        if self._held is not None:
            self._held.append(message)
            return
        send = self._send_direct
        if self._writing or send is None:
            for part in message.parts:
                self._queue.append(part)
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
        self.sent_bytes += sent
        if sent == len(data):
            self.sent_messages += message.count
            return
        self._queue_rest(message, sent)

    def send_text(self, text: bytes) -> None:
        """Send a text that no other connection gets: nothing of a :class:`Message` is needed.

        :param text: UTF-8.
        """
        frame, send = self._frame, self._send_direct
        if (
            frame is None
            or send is None
            or self._writing
            or self._closing
            or self._held is not None
        ):
            self.send(Message(text))
            return
        data = frame(text)
        try:
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(error)
            return
        self.sent_bytes += sent
        if sent == len(data):
            self.sent_messages += 1
        else:
            self._queue_rest(Message(text), sent)

    def _queue_rest(self, message: Message, sent: int) -> None:
        """Queue what is left of a message.

        :param sent: how many bytes of it have been written.
        """
        for part in message.parts:
            sent = self._record_sent(part, sent)
        self._start_writer()
        self._check_limits()

    def hold(self) -> None:
        """Hold back what is sent, up to :meth:`release`, which is called without a checkpoint.

        Does not nest.
        """
        assert self._held is None
        self._held = []

    def release(self) -> None:
        """Send what was held back, in its order and by one write if possible."""
        held, self._held = self._held, None
        if held:
            self.send(Message.bundle(held))

    def finish(self, last: Message | None, *, discard: bool = False) -> None:
        """Write what is queued, then ``last``; ignore later messages.

        :param last: the last message, such as a close frame.
        :param discard: drop what is queued, except the rest of a message that went out in part.
        """
        if self._closing:
            return
        self.release()
        if discard:
            self._queue.clear()
        if last is not None:
            self.send(last)
        self._closing = True
        if not self._writing:
            self.flushed.set()

    def move(self, wire: Wire, convert: Callable[[bytes], bytes]) -> None:
        """Continue on another wire, with all that is queued: the client has upgraded.

        The former wire must have no task that writes; the caller starts the writer of the new
        one if anything is queued.

        :param convert: converts the rest of a partly sent message to the new wire's encoding.
        """
        self._set_wire(wire)
        self._queue.change_encoding(wire.encode, convert)

    def _set_wire(self, wire: Wire) -> None:
        self._wire = wire
        # Looked up once: a fan-out uses them at every connection.
        self._encode = wire.encode
        self._send_direct = wire.send_nowait if wire.direct else None
        self._frame = ws.frame if wire.direct and wire.encode is WEBSOCKET else None

    def stop(self) -> None:
        """Drop everything, and write nothing from now on."""
        self._closing = self._ended = True
        self._owner = _NOBODY  # what has ended is freed at once, not by the garbage collector
        self._queue.drop_rest()
        self._queue.clear()
        self.flushed.set()

    async def write(self) -> None:
        """Write until nothing is queued, in a task; see :meth:`OutboxOwner.start_writer`.

        Cancelled, the stream may end in the middle of a message: nothing can be
        written after that.
        """
        wire = self._wire
        try:
            while self._has_pending():
                await wire.wait_writable()
                if not self._has_pending():
                    break
                if wire.immediate:
                    self._write_batch_nowait()
                else:
                    await self._write_batch()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._break(error)
        finally:
            self._writing = False

    def write_some(self) -> bool:
        """Write what the wire takes now; return whether anything is left.

        For a writer that is no task, on a wire that is :attr:`~Wire.immediate`.
        """
        if self._has_pending():
            self._write_batch_nowait()
        self._writing = self._has_pending()
        return self._writing

    def _has_pending(self) -> bool:
        if self._ended:
            return False
        if self._queue.pending:
            return True
        self.behind_since = None
        if self._closing:
            self.flushed.set()
        return False

    def _write_batch_nowait(self) -> None:
        """Write what the socket accepts now; messages not begun can still be replaced."""
        queue = self._queue
        rest = queue.rest
        batch: list[Message] = []
        if rest is not None:
            data: bytes | memoryview = rest
        else:
            batch = queue.first(self._wire)
            data = queue.join(batch, self._wire)
        try:
            sent = self._wire.send_nowait(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error)
            return
        self.sent_bytes += sent
        if rest is not None:
            queue.shorten_rest(sent)
        for message in batch:
            if sent <= 0:
                break
            queue.remove_first()
            sent = self._record_sent(message, sent)
        self._check_drained()

    async def _write_batch(self) -> None:
        """Write a batch; its messages cannot be replaced any more."""
        queue = self._queue
        rest = queue.rest
        if rest is None:
            batch = queue.first(self._wire)
            for _ in batch:
                queue.remove_first()
            rest = memoryview(queue.join(batch, self._wire))
            queue.set_rest(rest, *batch)
            self.sent_messages += len(batch)
            self._check_drained()
        await self._wire.send_all(rest)
        self.sent_bytes += len(rest)
        queue.drop_rest()
        self._check_drained()

    def _record_sent(self, message: Message, sent: int) -> int:
        """Record how much of ``sent`` bytes is of a message; queue its rest, return the excess."""
        encoded = self._encode(message)
        size = len(encoded)
        if sent >= size:
            self.sent_messages += 1
            return sent - size - len(self._wire.separator)
        if sent > 0:
            self._queue.set_rest(memoryview(encoded)[sent:], message)
            self.sent_messages += 1
        else:
            self._queue.append(message)
        return 0

    def _check_limits(self) -> None:
        if self._limits.congested(self._queue):
            self.congested = True
        if self._limits.exceeded(self._queue):
            self._owner.outbox_overflowed()
        self._queue.enforce_limits()

    def _check_drained(self) -> None:
        if self.congested and self._limits.drained(self._queue):
            self.congested = False
            self._owner.outbox_drained()

    def _start_writer(self) -> None:
        self._writing = True
        if self.behind_since is None:
            self.behind_since = trio.current_time()
        self._owner.start_writer()

    def _break(self, error: BaseException) -> None:
        if not self._ended:
            owner = self._owner
            self.stop()
            owner.outbox_broken(error)


class _Nobody:
    """Owns an outbox that has ended."""

    def start_writer(self) -> None:
        """Never called, as nothing is queued any more."""

    def outbox_broken(self, error: BaseException) -> None:
        """Nothing is left to end."""

    def outbox_overflowed(self) -> None:
        """Nothing is left to end."""

    def outbox_drained(self) -> None:
        """Nothing is left to start."""


_NOBODY: Final = _Nobody()
