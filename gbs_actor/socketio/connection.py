"""One Engine.IO connection: its session, its sockets, its deadlines, whatever carries it."""

from __future__ import annotations

import inspect
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import msgspec
import trio

from gbs_actor.socketio import engineio
from gbs_actor.socketio.dispatcher import Dispatcher
from gbs_actor.socketio.errors import ConnectRefused, ProtocolViolation
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.handshake import Handshake
from gbs_actor.socketio.message import Message
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.options import ServerOptions
from gbs_actor.socketio.outbox import Outbox
from gbs_actor.socketio.packet import PacketType, encode_head
from gbs_actor.socketio.session import (
    AckReceived,
    Closed,
    EventReceived,
    Happening,
    Joining,
    Left,
    Ponged,
    Session,
    UnknownNamespace,
)
from gbs_actor.socketio.socket import Socket
from gbs_actor.socketio.timers import Timers
from gbs_actor.socketio.vigil import Vigil
from gbs_actor.socketio.wire import Wire

logger = logging.getLogger(__name__)
_PING = Message(engineio.PacketType.PING.encode(), key=engineio.PacketType.PING)


class Transport(Protocol):
    """What carries a connection."""

    def close(self, code: int, reason: str, *, discard: bool) -> None:
        """Begin to close behind what waits, or instead of it; does not block."""
        ...

    def abort(self) -> None:
        """Drop the stream; does not block."""
        ...


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of a CONNECT_ERROR packet."""

    message: str
    data: Any = None


class Connection:
    """One client's connection, from the open packet to the last ``on_disconnect``.

    :param nursery: where its handlers and its writer run; ends with the connection.
    :param on_end: called once with the reason, when the connection ends.
    """

    __slots__ = (
        "_dispatcher",
        "_gate",
        "_handshake",
        "_held_bytes",
        "_let_in",
        "_namespaces",
        "_nursery",
        "_on_end",
        "_options",
        "_resumed_at",
        "_sent_at_ping",
        "_session",
        "_sockets",
        "_transport",
        "_unanswered",
        "_vigil",
        "outbox",
        "reason",
        "sid",
    )

    def __init__(
        self,
        transport: Transport,
        wire: Wire,
        nursery: trio.Nursery,
        *,
        handshake: Handshake,
        namespaces: Mapping[str, Namespace],
        options: ServerOptions,
        timers: Timers,
        on_end: Callable[[str], None],
    ) -> None:
        self.sid = secrets.token_urlsafe(15)
        self.outbox = Outbox(wire, self, options.outbox)
        self.reason: str | None = None
        """Why the connection has ended; ``None`` while it lives."""
        self._transport = transport
        self._nursery = nursery
        self._handshake = handshake
        self._namespaces = namespaces
        self._options = options
        self._on_end = on_end
        self._session = Session(namespaces, max_attachments=options.max_attachments)
        self._dispatcher = Dispatcher(nursery, self._relieve)
        self._sockets: dict[str, Socket] = {}
        self._let_in: dict[str, Socket] = {}
        self._unanswered = 0
        self._held_bytes = 0
        self._gate: trio.Event | None = None
        self._resumed_at = -math.inf
        self._sent_at_ping = 0
        self._vigil = Vigil(self, options, timers)

    def open(self) -> None:
        """Send the open packet."""
        options = self._options
        packet = engineio.Open(
            sid=self.sid,
            upgrades=(),
            ping_interval=round(options.ping_interval * 1000),
            ping_timeout=round(options.ping_timeout * 1000),
            max_payload=options.max_payload,
        )
        self.outbox.send(Message(engineio.encode_open(packet)))

    # What the client says.

    def receive_text(self, text: str) -> None:
        """Take a text packet; the connection may have ended after that."""
        try:
            happening = self._session.receive_text(text)
        except ProtocolViolation as violation:
            self.violated(violation)
            return
        self._act(happening)

    def receive_binary(self, payload: bytes) -> None:
        """Take a binary packet; the connection may have ended after that."""
        try:
            happening = self._session.receive_binary(payload)
        except ProtocolViolation as violation:
            self.violated(violation)
            return
        self._act(happening)

    def _act(self, happening: Happening | None) -> None:
        match happening:
            case EventReceived():
                self._on_event(happening)
            case Ponged():
                self._vigil.pong()
            case AckReceived(namespace, ack_id, raw, attachments):
                self._sockets[namespace].acknowledge(ack_id, raw, attachments)
            case Joining(namespace, auth):
                self._on_joining(self._namespaces[namespace], auth)
            case Left(namespace):
                socket = self._sockets.pop(namespace)
                self._dispatcher.submit(partial(self._part, socket, "client namespace disconnect"))
            case UnknownNamespace(namespace):
                self._refuse(namespace, Refusal("Invalid namespace"))
            case Closed():
                self.end("transport close", 1000)
            case None:
                pass

    def _on_event(self, received: EventReceived) -> None:
        socket = self._sockets[received.namespace]
        if received.ack_id is not None:
            self._unanswered += 1
        event = Event(
            socket, received.namespace, received.ack_id, received.data, received.attachments
        )
        self._held_bytes += event.size
        self._dispatcher.submit(partial(socket.namespace.handle, socket, event))

    # Joining and leaving.

    def _on_joining(self, namespace: Namespace, auth: dict[str, Any] | None) -> None:
        socket = Socket(self, namespace, replace(self._handshake, auth=auth))
        self._sockets[namespace.name] = socket
        self._dispatcher.submit(partial(self._connect, socket, auth))

    def _connect(self, socket: Socket, auth: Any) -> Awaitable[None] | None:
        handler = socket.namespace.connect_handler
        if handler is None:
            self._admit(socket)
            return None
        try:
            result = handler(socket, auth)
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._turn_away(socket, error)
            return None
        if inspect.isawaitable(result):
            return self._connect_later(socket, result)
        self._admit(socket)
        return None

    async def _connect_later(self, socket: Socket, result: Awaitable[Any]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001  (the application's, reported below)
            self._turn_away(socket, error)
        else:
            self._admit(socket)

    def _admit(self, socket: Socket) -> None:
        self._let_in[socket.id] = socket
        if socket.closed:  # ended meanwhile: it will be told so like any other
            return
        self._session.accept()
        if socket.let_in():
            self.leave(socket)

    def _turn_away(self, socket: Socket, error: Exception) -> None:
        if socket.closed:
            return
        if not isinstance(error, ConnectRefused):
            logger.error("on_connect of %s failed", socket.namespace.name, exc_info=error)
            self.end("transport error", 1011, "internal error")
            return
        self._forget(socket)
        socket.end("server namespace disconnect")
        try:
            self._refuse(socket.namespace.name, Refusal(error.message, error.data))
        except TypeError:
            logger.exception("the data of a refusal has no JSON form")
            self._refuse(socket.namespace.name, Refusal(error.message))

    def _refuse(self, namespace: str, refusal: Refusal) -> None:
        head = encode_head(PacketType.CONNECT_ERROR, namespace)
        self.outbox.send(Message(head + msgspec.json.encode(refusal)))

    def leave(self, socket: Socket) -> None:
        """Take a socket out of its namespace, on the server's behalf."""
        if socket.closed:
            return
        if self._sockets.get(socket.namespace.name) is socket:
            # Else the client has left by itself, and may have come back since.
            self._forget(socket)
            self.outbox.send(Message(encode_head(PacketType.DISCONNECT, socket.namespace.name)))
        reason = "server namespace disconnect"
        socket.end(reason)
        self._dispatcher.submit(partial(self._part, socket, reason))

    def _forget(self, socket: Socket) -> None:
        name = socket.namespace.name
        if self._sockets.get(name) is socket:
            del self._sockets[name]
            self._session.leave(name)

    def _part(self, socket: Socket, reason: str) -> Awaitable[None] | None:
        """Let a socket go while its connection lives on."""
        awaitable = self._say_goodbye(socket, reason)
        return None if awaitable is None else self._shielded(awaitable)

    async def _shielded(self, awaitable: Awaitable[Any]) -> None:
        with trio.move_on_after(self._options.disconnect_timeout, shield=True):
            await awaitable

    def _say_goodbye(self, socket: Socket, reason: str) -> Awaitable[Any] | None:
        """Run ``on_disconnect``, once; return what is left to await."""
        socket.end(reason)
        handler = socket.namespace.disconnect_handler
        if self._let_in.pop(socket.id, None) is None or handler is None:
            return None
        result = handler(socket, socket.reason)
        return result if inspect.isawaitable(result) else None

    # Ending.

    def violated(self, violation: ProtocolViolation) -> None:
        """End the connection: the client has broken the protocol."""
        logger.info("connection %s closed: %s", self.sid, violation.reason)
        self.end("parse error", violation.code, violation.reason)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the transport behind what waits."""
        self.end("transport close", code, reason)

    def abort(self) -> None:
        """Drop the connection at once."""
        self.lose("transport close")

    def lose(self, reason: str) -> None:
        """Note that the stream has ended, or is to end, without a closing handshake."""
        self._ended(reason)
        self.outbox.stop()
        self._transport.abort()

    def overflow(self) -> None:
        """Close the transport, as more waits than may: the client is too slow."""
        logger.info("connection %s closed: too far behind", self.sid)
        self.end("transport close", 1013, "too far behind", discard=True)

    def end(self, reason: str, code: int, text: str = "", *, discard: bool = False) -> None:
        """End the connection: sockets first, then the transport. Does not block.

        :param reason: for ``on_disconnect``.
        :param code: WebSocket close code.
        :param text: for the close frame.
        :param discard: whether to drop what waits.
        """
        if self._ended(reason):
            self._transport.close(code, text, discard=discard)

    def _ended(self, reason: str) -> bool:
        if self.reason is not None:
            return False
        self.reason = reason
        self._vigil.stop()
        for socket in (*self._sockets.values(), *self._let_in.values()):
            socket.end(reason)
        if self._gate is not None:
            self._gate.set()
        self._on_end(reason)
        return True

    async def say_goodbyes(self) -> None:
        """Cancel the handlers, then run every ``on_disconnect`` that has not run.

        Shielded from cancellation; ends after ``disconnect_timeout`` for the handlers that
        run, and as much for all that say goodbye.
        """
        patience = self._options.disconnect_timeout
        await self._dispatcher.stop(patience)
        with trio.move_on_after(patience, shield=True):
            async with trio.open_nursery() as nursery:
                for socket in list(self._let_in.values()):
                    nursery.start_soon(self._last_goodbye, socket)

    async def _last_goodbye(self, socket: Socket) -> None:
        try:
            awaitable = self._say_goodbye(socket, self.reason or "transport close")
            if awaitable is not None:
                await awaitable
        except Exception:
            logger.exception("on_disconnect of %s failed", socket.namespace.name)

    # Back-pressure.

    @property
    def paused(self) -> bool:
        """Whether the connection must not be read on for now."""
        return (self.outbox.congested or self._lagging) and self.reason is None

    @property
    def _lagging(self) -> bool:
        """Whether it is the application that has not caught up."""
        return (
            self._unanswered > self._options.max_unanswered
            or len(self._dispatcher) >= self._options.max_waiting_events
            or self._held_bytes > self._options.max_held_bytes
        )

    async def wait_unpaused(self) -> None:
        """Return once the connection may be read on, or has ended."""
        while self.paused:
            self._gate = trio.Event()
            await self._gate.wait()
        self._gate = None
        self._resumed_at = trio.current_time()

    def _relieve(self) -> None:
        if self._gate is not None and not self.paused:
            self._gate.set()

    def forget_event(self, size: int) -> None:
        """Note that an event of so many bytes is held no longer."""
        self._held_bytes -= size
        self._relieve()

    def release_event(self) -> None:
        """Note that one event less is unanswered."""
        self._unanswered -= 1
        self._relieve()

    def outbox_relieved(self) -> None:
        """Read on, as the client has caught up."""
        self._relieve()

    def outbox_overflowed(self) -> None:
        """Close the transport, as the client does not keep up."""
        self.overflow()

    def outbox_broken(self, error: BaseException) -> None:
        """Drop the connection, as it cannot be written to."""
        if self._ended("transport error"):
            logger.debug("connection %s broke: %r", self.sid, error)
            self._transport.abort()

    def start_writer(self, writer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the outbox' writer in the connection's nursery."""
        self._nursery.start_soon(writer)

    # Deadlines.

    @property
    def ever_joined(self) -> bool:
        """Whether a namespace was joined."""
        return self._session.ever_joined

    @property
    def excused(self) -> bool:
        """Whether a pong may be there that we have kept ourselves from reading."""
        if self._gate is None:
            return trio.current_time() < self._resumed_at + self._options.ping_timeout
        return self._lagging or self.outbox.sent_bytes != self._sent_at_ping

    def ping(self) -> None:
        """Send a ping; of several that wait, one goes out."""
        self._sent_at_ping = self.outbox.sent_bytes
        self.outbox.send(_PING)

    def never_joined(self) -> None:
        """Close: no namespace was joined in time."""
        self.end("transport close", 1008, "no namespace joined in time")

    def gone(self) -> None:
        """Close: no pong came in time."""
        self.end("ping timeout", 1008, "ping timeout", discard=True)
