"""One client in one namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, Protocol

import trio

from gbs_actor.environment import Environment
from gbs_actor.socketio.calls import PendingCalls
from gbs_actor.socketio.channel.handshake import Handshake
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.outbox_limits import OutboxStatistics
from gbs_actor.socketio.encoding import encode_connect, encode_event
from gbs_actor.socketio.engineio.session import Session
from gbs_actor.socketio.errors import SocketClosed
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.hook import Contained
from gbs_actor.socketio.packet import EVENTS, decode_event, decode_packet, decode_values
from gbs_actor.socketio.sink import TracedSink, Waiting
from gbs_actor.socketio.websocket.close_code import CloseCode, check_close_code

RECOVERABLE: Final = frozenset(
    {"transport close", "transport error", "ping timeout", "server shutting down"}
)
"""Reasons of an end after which a client may resume: neither side has disconnected on purpose."""

_NO_DATA: Final = object()


class SocketOwner(Protocol):
    """The connection that a socket uses."""

    @property
    def session(self) -> Session:
        """The Engine.IO session."""
        ...

    @property
    def outbox(self) -> Outbox:
        """The queue of everything sent to the client."""
        ...

    def leave(self, socket: Socket) -> None:
        """Remove the socket from its namespace, as the server's decision."""
        ...

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the transport after sending what is queued."""
        ...

    def abort(self) -> None:
        """Drop the connection."""
        ...

    def overflow(self) -> None:
        """Close the transport, as too much is queued."""
        ...


class EventObservers(Protocol):
    """What is called with the events of all sockets; ``None`` if nothing is."""

    event_received: Callable[[Socket, Event], None] | None
    event_sent: Callable[[Socket, str, tuple[Any, ...]], None] | None


class SocketNamespace(Protocol):
    """The namespace a socket is in."""

    @property
    def observers(self) -> EventObservers:
        """Those of its server."""
        ...

    @property
    def environment(self) -> Environment:
        """Where ids come from."""
        ...

    @property
    def name(self) -> str:
        """It begins with a slash."""
        ...

    def emit(self, name: str, *args: Any) -> None:
        """Send an event to every socket."""
        ...

    def handle(self, socket: Socket, event: Event) -> Awaitable[None] | None:
        """Run the handler of an event; return what is left to await, if anything."""
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
        """Encode an event with its offset as last argument, and keep it for sockets that miss it.

        :param to: the one socket that gets it; ``None``: all sockets of the namespace.
        :raises TypeError: an argument has no JSON form.
        """
        ...

    def last_offset(self, socket: Socket) -> str:
        """Return the offset of what was sent to a socket last."""
        ...

    def connection_lost(self, socket: Socket) -> None:
        """Keep a session whose connection has ended: its client may resume it."""
        ...

    def end_session(self, socket: Socket) -> None:
        """End a session: it must not be restored. Idempotent."""
        ...


class Tracer(Protocol):
    """Sees the events of one socket, both ways; see :meth:`Socket.trace`.

    No method may block; an exception is logged, once a minute at most.
    """

    def event_received(self, socket: Socket, event: Event) -> None:
        """See an event of the client; see :meth:`.Observer.event_received`."""
        ...

    def event_sent(self, socket: Socket, name: str, json: str) -> None:
        """See an event to the client, whether or not others get it, too.

        It may have to wait, and be replaced by a newer one with the same key.

        :param json: the array of its name and arguments, as it is sent.
        """
        ...

    def ack_sent(self, socket: Socket, ack_id: int, json: str) -> None:
        """See an acknowledgement to the client.

        :param ack_id: that of the event.
        :param json: the array of its values, as it is sent.
        """
        ...


class Socket:
    """One client in one namespace.

    Attributes:
        id: the client's ``socket.id``; unguessable.
        namespace: the one it is connected to.
    """

    __slots__ = (
        "__weakref__",
        "_auth",
        "_calls",
        "_data",
        "_disconnected",
        "_handshake",
        "_is_disconnected",
        "_leave_wanted",
        "_left",
        "_missed",
        "_owner",
        "_recovery",
        "_sink",
        "_tracer",
        "closed",
        "connected",
        "id",
        "namespace",
        "observe_event",
        "pid",
        "reason",
        "recovered",
    )

    def __init__(
        self,
        owner: SocketOwner,
        namespace: SocketNamespace,
        handshake: Handshake,
        auth: dict[str, Any] | None,
    ) -> None:
        self.id = namespace.environment.token(15)
        self.namespace = namespace
        self.closed = False
        """Whether the socket has ended; sending does nothing then."""
        self.connected = False
        """Whether the client was accepted."""
        self.reason = ""
        """Why it ended, as ``on_disconnect`` gets it."""
        self.recovered = False
        """Whether it continues the session of an earlier connection: same id, maybe same data."""
        self.pid: str | None = None
        """The secret that resumes the session, if it has one."""
        self._owner = owner
        self._handshake = handshake
        self._auth = auth
        self._data: Any = _NO_DATA
        self._recovery: SessionRecovery | None = None
        self._left = False
        self._missed: Sequence[Message] = ()
        self._is_disconnected = False
        self._disconnected: trio.Event | None = None
        self._sink: Outbox | TracedSink | Waiting | None = Waiting(owner.overflow)
        """Where messages go; ``None`` after the end."""
        self._leave_wanted = False
        self._calls: PendingCalls | None = None
        self._tracer: Tracer | None = None
        self.observe_event = namespace.observers.event_received
        """Called with each event when it has been read; used by the connection."""

    @property
    def session(self) -> Session:
        """The Engine.IO session of its client, which sockets in other namespaces share."""
        return self._owner.session

    @property
    def transport(self) -> str:
        """What carries it now, or did at its end: ``"polling"`` or ``"websocket"``."""
        return self._owner.session.transport.name

    @property
    def handshake(self) -> Handshake:
        """The request that opened its connection, with the payload of the CONNECT packet."""
        return self._handshake if self._auth is None else replace(self._handshake, auth=self._auth)

    @property
    def auth(self) -> Any:
        """The payload of the CONNECT packet: an object, or ``None``."""
        return self._handshake.auth if self._auth is None else self._auth

    def forget_auth(self) -> None:
        """Drop the payload of the CONNECT packet: it may hold a secret, and takes memory.

        For an application that has read it.
        """
        self._auth = None

    @property
    def data(self) -> Any:
        """The application's own; set any attribute on it, or replace it."""
        if self._data is _NO_DATA:
            self._data = SimpleNamespace()
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        self._data = data

    def emit(self, name: str, *args: Any) -> None:
        """Send an event. Never blocks; after the end, does nothing.

        :raises TypeError: an argument has no JSON form.
        """
        if self._sink is None:
            return
        if self._recovery is None:
            message = encode_event(self.namespace.name, name, *args)
        else:
            message = self._recovery.record_event(self.namespace.name, name, args, self)
        observe = self.namespace.observers.event_sent
        if observe is not None:
            observe(self, name, args)
        self._sink.send(message)

    def deliver(self, message: Message) -> None:
        """Send a message that may be shared with other sockets of the namespace.

        Never blocks and never raises; after the end, does nothing. For a
        :attr:`recoverable` socket the message has to have its offset already.
        """
        if self._sink is not None:
            self._sink.send(message)

    def emit_volatile(self, name: str, *args: Any) -> None:
        """Send an event now; drop it if anything is queued.

        For values that are useless later, such as the position of a cursor. Never blocks.

        :raises TypeError: an argument has no JSON form.
        """
        if self._sink is None or not self.connected or not self._owner.outbox.ready:
            return
        offset: tuple[str, ...] = ()
        if self._recovery is not None and isinstance((name, *args)[-1], str):
            # The client would take that text for an offset.
            offset = (self._recovery.last_offset(self),)
        message = encode_event(self.namespace.name, name, *args, *offset)
        observe = self.namespace.observers.event_sent
        if observe is not None:
            observe(self, name, args)
        self._sink.send(message)

    async def call(
        self,
        name: str,
        *args: Any,
        timeout: float,  # noqa: ASYNC109  (it bounds the client, not our work)
    ) -> Any:
        """Send an event and wait for the client's acknowledgement.

        Cancelled, the event may have been sent; a later acknowledgement is ignored.

        :param timeout: seconds.
        :returns: its value: ``None`` for none, a list for several.
        :raises trio.TooSlowError: no acknowledgement in time.
        :raises SocketClosed: the socket has ended, or ends before it.
        :raises InvalidArguments: its values cannot be decoded.
        :raises TypeError: an argument has no JSON form.
        """
        if self._sink is None:
            raise SocketClosed("the socket has ended")
        if self._calls is None:
            self._calls = PendingCalls()
        message = encode_event(self.namespace.name, name, *args, ack_id=self._calls.next_id)
        ack_id = self._calls.add()
        observe = self.namespace.observers.event_sent
        if observe is not None:
            observe(self, name, args)
        self._sink.send(message)
        with trio.fail_after(timeout):
            json, attachments = await self._calls.wait(ack_id)
        values = decode_values(json, attachments)
        return values if len(values) > 1 else next(iter(values), None)

    def disconnect(self, close: bool = False) -> None:
        """Remove the client from the namespace; it does not reconnect by itself.

        :param close: whether to close its connection, too, after sending what is queued.
        """
        if self.closed:
            return
        if not self.connected:
            self._leave_wanted = True  # done once the client is accepted
        else:
            self._owner.leave(self)
        if close:
            self._owner.close()

    def close_transport(self, code: int, reason: str = "") -> None:
        """Close the connection after sending what is queued; the client reconnects with backoff.

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
        """Whether the client may resume this session after a lost connection.

        Every event to it without an ack then ends with an offset. Known in ``on_connect``.
        """
        return self._recovery is not None

    async def wait_disconnected(self) -> None:
        """Return once the socket has ended and its ``on_disconnect`` has run."""
        if self._disconnected is None:
            self._disconnected = trio.Event()
            if self._is_disconnected:
                self._disconnected.set()
        await self._disconnected.wait()

    @property
    def outbox(self) -> Outbox:
        """The queue of its connection, which sockets in other namespaces share."""
        return self._owner.outbox

    def statistics(self) -> OutboxStatistics:
        """Return how far behind the connection is."""
        return self._owner.outbox.statistics()

    def trace(self, tracer: Tracer | None) -> None:
        """Report this socket's events to a tracer, which replaces another one; ``None``: no more.

        Ends with the socket. Costs nothing where no tracer is set.
        """
        self._tracer = tracer
        observe = self.namespace.observers.event_received
        if tracer is not None:
            observe = _in_turn(observe, Contained(tracer.event_received))
        self.observe_event = observe
        if isinstance(self._sink, (Outbox, TracedSink)):
            self._sink = self._open_sink()

    def _open_sink(self) -> Outbox | TracedSink:
        """Return where messages go once the client is accepted."""
        outbox, tracer = self._owner.outbox, self._tracer
        return outbox if tracer is None else TracedSink(outbox, partial(_trace, tracer, self))

    def send_ack(self, message: Message) -> None:
        """Send an event's acknowledgement; used by :class:`Event`."""
        if self._sink is not None:
            self._sink.send(message)

    def send_ack_text(self, text: bytes) -> None:
        """Send an acknowledgement that is encoded; used by :class:`Event`."""
        if self._sink is not None:
            self._sink.send_text(text)

    def use_recovery(self, recovery: SessionRecovery) -> None:
        """Let the client resume after a lost connection; used by the connection."""
        self._recovery = recovery

    def restore(self, pid: str, sid: str, missed: Sequence[Message], data: Any) -> None:
        """Continue the session of an earlier connection; used by the connection.

        :param missed: events to send right after the reply to CONNECT.
        :param data: becomes :attr:`data`; ``None`` leaves that unchanged.
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

    def client_left(self) -> None:
        """End the session, as the client has left; used by the connection."""
        self._left = True
        if self.pid is not None:
            self._end_session()

    def accept(self) -> bool:
        """Send the CONNECT, the missed events and the queued ones; used by the connection.

        :returns: whether the application has disconnected the socket meanwhile.
        """
        self.connected = True
        self.namespace.add(self)  # before anything is sent: that may break the connection
        waiting = self._sink
        if not isinstance(waiting, Waiting):
            return False  # an observer has ended it
        self._sink = sink = self._open_sink()
        if self._recovery is not None and self.pid is None:
            self.pid = self._recovery.start_session(self)
        self._owner.outbox.send(encode_connect(self.namespace.name, self.id, self.pid))
        if self._missed:
            sink.send(Message.bundle(self._missed))
            self._missed = ()
        for message in waiting.messages:
            sink.send(message)
        return self._leave_wanted

    def end(self, reason: str) -> None:
        """End the socket: send nothing from now on; used by the connection."""
        if self.closed:
            return
        self.closed = True
        self.reason = reason
        self._sink = None
        if self._tracer is not None:
            self.trace(None)
        self._missed = ()
        self.namespace.remove(self)
        if self.pid is not None:
            self._end_session()
        if self._calls is not None:
            self._calls.end()

    def finish_disconnect(self) -> None:
        """End :meth:`wait_disconnected`: ``on_disconnect`` has run; used by the connection."""
        self._is_disconnected = True
        if self._disconnected is not None:
            self._disconnected.set()

    def receive_ack(self, ack_id: int, json: str, attachments: tuple[bytes, ...]) -> None:
        """Pass an acknowledgement to the call that waits for it; used by the connection."""
        if self._calls is not None:
            self._calls.receive_ack(ack_id, json, attachments)

    def _end_session(self) -> None:
        assert self._recovery is not None
        if self._left or self.reason not in RECOVERABLE:
            self._recovery.end_session(self)
        else:
            self._recovery.connection_lost(self)

    def __repr__(self) -> str:
        return f"<Socket {self.id} in {self.namespace.name!r}>"


def _trace(tracer: Tracer, socket: Socket, text: bytes) -> None:
    """Report an event or an acknowledgement that is about to be sent."""
    packet = decode_packet(text.decode(), 1)
    if packet.type in EVENTS:
        tracer.event_sent(socket, decode_event(packet.json).name, packet.json)
    elif packet.ack_id is not None:
        tracer.ack_sent(socket, packet.ack_id, packet.json)


def _in_turn(
    first: Callable[[Socket, Event], None] | None, second: Callable[[Socket, Event], None]
) -> Callable[[Socket, Event], None]:
    """Return what calls both; only the second one if there is no first."""
    if first is None:
        return second

    def call(socket: Socket, event: Event) -> None:
        first(socket, event)
        second(socket, event)

    return call
