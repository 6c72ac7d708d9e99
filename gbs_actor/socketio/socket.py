"""One client in one namespace."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final, Protocol

import trio

from gbs_actor.socketio.channel.close_code import CloseCode, check_close_code
from gbs_actor.socketio.channel.handshake import Handshake
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox, OutboxStatistics
from gbs_actor.socketio.encoding import encode_connect, encode_event
from gbs_actor.socketio.errors import SocketClosed
from gbs_actor.socketio.packet import decode_values

RECOVERABLE: Final = frozenset(
    {"transport close", "transport error", "ping timeout", "server shutting down"}
)
"""Reasons of an end after which a client may come back: neither side has meant to leave."""

_MAX_QUEUED: Final = 1_024  # messages that an on_connect handler may emit


class SocketOwner(Protocol):
    """The connection a socket lives on."""

    @property
    def outbox(self) -> Outbox:
        """Where everything for the client goes."""
        ...

    def leave(self, socket: Socket) -> None:
        """Take the socket out of its namespace, on the server's behalf."""
        ...

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the transport behind what waits."""
        ...

    def abort(self) -> None:
        """Drop the connection."""
        ...

    def overflow(self) -> None:
        """Close the transport, as too much waits."""
        ...


class SocketNamespace(Protocol):
    """The namespace a socket is in."""

    @property
    def name(self) -> str:
        """It begins with a slash."""
        ...

    def emit(self, name: str, *args: Any) -> None:
        """Send an event to every socket."""
        ...

    def add(self, socket: Socket) -> None:
        """Add a socket whose client was accepted."""
        ...

    def add_restoring(self, socket: Socket) -> None:
        """Add a socket whose session was restored, and whose client is not accepted yet."""
        ...

    def remove(self, socket: Socket) -> None:
        """Remove a socket that has ended."""
        ...


class SessionRecovery(Protocol):
    """The part of :class:`~gbs_actor.socketio.recovery.Recovery` that sockets use.

    No method blocks or raises for what a client does.
    """

    def start_session(self, socket: Socket) -> str:
        """Start a session, for a socket that has just been accepted; return its pid.

        A pid is a secret, unlike the socket's id.
        """
        ...

    def record_event(
        self, namespace: str, name: str, args: Sequence[Any], to: Socket | None
    ) -> Message:
        """Encode an event with its offset as last argument, and keep it for who misses it.

        :param to: the one socket that gets it; ``None``: all sockets of the namespace.
        :raises TypeError: an argument has no JSON form.
        """
        ...

    def last_offset(self, socket: Socket) -> str:
        """Return the offset of what was sent to a socket last."""
        ...

    def connection_lost(self, socket: Socket) -> None:
        """Keep a session whose connection has ended: its client may come back."""
        ...

    def end_session(self, socket: Socket) -> None:
        """End a session for good: it must not be restored. May be called again."""
        ...


class _Call:
    """A wait for a client's acknowledgement."""

    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.answer: tuple[str, tuple[bytes, ...]] | None = None


class Socket:
    """One client in one namespace.

    Attributes:
        id: the client's ``socket.id``; unguessable.
        namespace: where it is.
        handshake: what its connection began with.
        data: the application's own; set any attribute on it, or replace it.
    """

    __slots__ = (
        "__weakref__",
        "_calls",
        "_gone",
        "_held",
        "_is_gone",
        "_leave_wanted",
        "_missed",
        "_next_call",
        "_owner",
        "_recovery",
        "_renounced",
        "_send",
        "closed",
        "connected",
        "data",
        "handshake",
        "id",
        "namespace",
        "pid",
        "reason",
        "recovered",
    )

    def __init__(
        self, owner: SocketOwner, namespace: SocketNamespace, handshake: Handshake
    ) -> None:
        self.id = secrets.token_urlsafe(15)
        self.namespace = namespace
        self.handshake = handshake
        self.data: Any = SimpleNamespace()
        self.closed = False
        """Whether the socket has ended; what is sent then goes nowhere."""
        self.connected = False
        """Whether the client was let in."""
        self.reason = ""
        """Why it ended, as ``on_disconnect`` is told."""
        self.recovered = False
        """Whether the session of an earlier connection goes on: same id, maybe same data."""
        self.pid: str | None = None
        """The secret the client may come back with, once it has one."""
        self._owner = owner
        self._recovery: SessionRecovery | None = None
        self._renounced = False
        self._missed: Sequence[Message] = ()
        self._is_gone = False
        self._gone: trio.Event | None = None
        self._held: list[Message] = []
        self._send: Callable[[Message], None] | None = self._hold
        self._leave_wanted = False
        self._calls: dict[int, _Call] | None = None
        self._next_call = 0

    def emit(self, name: str, *args: Any) -> None:
        """Send an event. Never blocks; after the end, does nothing.

        :raises TypeError: an argument has no JSON form.
        """
        if self._send is None:
            return
        if self._recovery is None:
            message = encode_event(self.namespace.name, name, *args)
        else:
            message = self._recovery.record_event(self.namespace.name, name, args, self)
        self._send(message)

    def deliver(self, message: Message) -> None:
        """Send a message that may be shared with other sockets of the namespace.

        Never blocks and never raises; after the end, does nothing. For a
        :attr:`recoverable` socket the message has to have its offset already.
        """
        if self._send is not None:
            self._send(message)

    def emit_volatile(self, name: str, *args: Any) -> None:
        """Send an event now or never: where something waits already, it is dropped.

        For what is of no use later, a position on a screen. Never blocks.

        :raises TypeError: an argument has no JSON form.
        """
        if self._send is None or not self.connected or not self._owner.outbox.ready:
            return
        if self._recovery is not None and isinstance((name, *args)[-1], str):
            # The client would take that text for an offset.
            args = (*args, self._recovery.last_offset(self))
        self._send(encode_event(self.namespace.name, name, *args))

    async def call(
        self,
        name: str,
        *args: Any,
        timeout: float,  # noqa: ASYNC109  (it bounds the client's answer, not our work)
    ) -> Any:
        """Send an event and wait for the client's acknowledgement.

        Cancelled, the event may have been sent; a later acknowledgement is ignored.

        :param timeout: seconds.
        :returns: its value: ``None`` for none, a list for several.
        :raises trio.TooSlowError: no answer in time.
        :raises SocketClosed: the socket has ended, or ends before the answer.
        :raises InvalidArguments: the answer cannot be decoded.
        :raises TypeError: an argument has no JSON form.
        """
        if self._send is None:
            raise SocketClosed("the socket has ended")
        if self._calls is None:
            self._calls = {}
        number = self._next_call
        message = encode_event(self.namespace.name, name, *args, ack_id=number)
        self._next_call += 1
        call = self._calls[number] = _Call()
        try:
            self._send(message)
            with trio.fail_after(timeout):
                await call.answered.wait()
        finally:
            self._calls.pop(number, None)
        if call.answer is None:
            raise SocketClosed("the socket ended before it answered")
        values = decode_values(*call.answer)
        return values if len(values) > 1 else next(iter(values), None)

    def disconnect(self, close: bool = False) -> None:
        """Take the client out of the namespace: it does not come back by itself.

        :param close: end its whole connection too, behind what waits.
        """
        if self.closed:
            return
        if not self.connected:
            self._leave_wanted = True  # decided once the CONNECT has been answered
        else:
            self._owner.leave(self)
        if close:
            self._owner.close()

    def close_transport(self, code: int, reason: str = "") -> None:
        """Close the connection behind what waits; the client comes back with backoff.

        :param code: WebSocket close code, e.g. 1012 (restart), 1013 (try again later).
        :raises ValueError: a code that must not be sent (RFC 6455 §7.4).
        """
        check_close_code(code)
        self._owner.close(code, reason)

    def abort(self) -> None:
        """Drop the connection at once, without a closing handshake."""
        self._owner.abort()

    @property
    def recoverable(self) -> bool:
        """Whether the client may come back to this session after a lost connection.

        Then what it is sent without an ack ends with an offset. Known in ``on_connect``.
        """
        return self._recovery is not None

    async def wait_disconnected(self) -> None:
        """Return once the socket has ended and its ``on_disconnect`` has run."""
        if self._gone is None:
            self._gone = trio.Event()
            if self._is_gone:
                self._gone.set()
        await self._gone.wait()

    def statistics(self) -> OutboxStatistics:
        """Return how far behind the connection is."""
        return self._owner.outbox.statistics()

    def send_ack(self, message: Message) -> None:
        """Send an event's acknowledgement; used by :class:`Event`."""
        if self._send is not None:
            self._send(message)

    def remember(self, recovery: SessionRecovery) -> None:
        """Let the client come back after a lost connection; used by the connection."""
        self._recovery = recovery

    def restore(self, pid: str, sid: str, missed: Sequence[Message], data: Any) -> None:
        """Continue the session of an earlier connection; used by the connection.

        :param missed: what goes out right behind the answer to CONNECT.
        :param data: becomes :attr:`data`; ``None`` leaves it.
        """
        self.id = sid
        self.pid = pid
        self.recovered = True
        self._missed = missed
        if data is not None:
            self.data = data
        if self.closed:
            self._end_session()
        else:
            self.namespace.add_restoring(self)

    def renounce(self) -> None:
        """Note that the client leaves for good; used by the connection."""
        self._renounced = True
        if self.pid is not None:
            self._end_session()

    def let_in(self) -> bool:
        """Answer the CONNECT, and send what was missed and held back; used by the connection.

        :returns: whether the application has wanted the client out again meanwhile.
        """
        self.connected = True
        outbox = self._owner.outbox
        self._send = outbox.send
        self.namespace.add(self)  # before anything is sent: that may break the connection
        if self._recovery is not None and self.pid is None:
            self.pid = self._recovery.start_session(self)
        outbox.send(encode_connect(self.namespace.name, self.id, self.pid))
        if self._missed:
            outbox.send(Message.bundle(self._missed))
            self._missed = ()
        held, self._held = self._held, []
        for message in held:
            outbox.send(message)
        return self._leave_wanted

    def end(self, reason: str) -> None:
        """Send nothing from now on; used by the connection."""
        if self.closed:
            return
        self.closed = True
        self.reason = reason
        self._send = None
        self._held.clear()
        self._missed = ()
        self.namespace.remove(self)
        if self.pid is not None:
            self._end_session()
        if self._calls is not None:
            for call in self._calls.values():
                call.answered.set()

    def gone(self) -> None:
        """Note that ``on_disconnect`` has run, or never will; used by the connection."""
        self._is_gone = True
        if self._gone is not None:
            self._gone.set()

    def acknowledge(self, number: int, json: str, attachments: tuple[bytes, ...]) -> None:
        """Hand an acknowledgement to whom it may concern; used by the connection."""
        call = None if self._calls is None else self._calls.pop(number, None)
        if call is not None:
            call.answer = (json, attachments)
            call.answered.set()

    def _end_session(self) -> None:
        assert self._recovery is not None
        if self._renounced or self.reason not in RECOVERABLE:
            self._recovery.end_session(self)
        else:
            self._recovery.connection_lost(self)

    def _hold(self, message: Message) -> None:
        """Keep back what an ``on_connect`` handler emits until the CONNECT is answered."""
        self._held.append(message)
        if len(self._held) > _MAX_QUEUED:
            self._owner.overflow()

    def __repr__(self) -> str:
        return f"<Socket {self.id} in {self.namespace.name!r}>"
