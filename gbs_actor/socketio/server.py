"""The server: namespaces, options, and the connections that are open."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import trio

from gbs_actor.socketio.close_code import check_close_code
from gbs_actor.socketio.connection import Connection, Transport
from gbs_actor.socketio.handshake import (
    BAD_REQUEST,
    FORBIDDEN,
    Handshake,
    HandshakeError,
    check_handshake,
    open_handshake,
    parse_cookies,
    parse_query,
)
from gbs_actor.socketio.http_answer import send_answer
from gbs_actor.socketio.namespace import Namespace
from gbs_actor.socketio.options import ServerOptions
from gbs_actor.socketio.origin import OriginPolicy
from gbs_actor.socketio.outbox import OutboxLimits
from gbs_actor.socketio.request import Request
from gbs_actor.socketio.timers import Timers
from gbs_actor.socketio.websocket import Traffic, WebSocketTransport, upgrade
from gbs_actor.socketio.wire import Wire

logger = logging.getLogger(__name__)
_DEFAULTS = ServerOptions()


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """What a server can tell of itself; counters since it was made."""

    connections: int
    """Open now."""
    sockets: Mapping[str, int]
    """Connected now, per namespace."""
    handshakes: int
    """Connections that were opened."""
    refused: int
    """Handshakes that were answered with an HTTP error."""
    received_messages: int
    received_bytes: int
    sent_messages: int
    sent_bytes: int
    closes: Mapping[str, int]
    """Connections that have ended, per reason."""


class SocketServer:
    """An Engine.IO v4 / Socket.IO v5 server.

    Register namespaces and handlers, then run it: inside :meth:`serving`, hand each
    WebSocket upgrade to :meth:`serve_websocket`.

    The parameters are those of :class:`ServerOptions`.

    :raises ValueError: a setting that cannot work.
    """

    def __init__(
        self,
        path: str = _DEFAULTS.path,
        *,
        ping_interval: float = _DEFAULTS.ping_interval,
        ping_timeout: float = _DEFAULTS.ping_timeout,
        max_payload: int = _DEFAULTS.max_payload,
        connect_timeout: float = _DEFAULTS.connect_timeout,
        close_timeout: float = _DEFAULTS.close_timeout,
        disconnect_timeout: float = _DEFAULTS.disconnect_timeout,
        max_connections: int = _DEFAULTS.max_connections,
        max_unanswered: int = _DEFAULTS.max_unanswered,
        max_waiting_events: int = _DEFAULTS.max_waiting_events,
        max_held_bytes: int = _DEFAULTS.max_held_bytes,
        max_attachments: int = _DEFAULTS.max_attachments,
        allowed_origins: Collection[str] = (),
        cookie_names: Collection[str] = (),
        outbox: OutboxLimits = _DEFAULTS.outbox,
    ) -> None:
        self.options = ServerOptions(
            path=path,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_payload=max_payload,
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            disconnect_timeout=disconnect_timeout,
            max_connections=max_connections,
            max_unanswered=max_unanswered,
            max_waiting_events=max_waiting_events,
            max_held_bytes=max_held_bytes,
            max_attachments=max_attachments,
            allowed_origins=tuple(allowed_origins),
            cookie_names=tuple(cookie_names),
            outbox=outbox,
        )
        self._origins = OriginPolicy(allowed_origins, cookie_names)
        self._namespaces: dict[str, Namespace] = {}
        self._timers = Timers()
        self._connections: dict[Connection, trio.CancelScope] = {}
        self._open = 0  # streams in our hands, those that are being refused included
        self._admitted = 0
        self._all_closed = trio.Event()
        self._serving = False
        self._handshakes = 0
        self._refused = 0
        self._received = Traffic()
        self._sent_messages = 0
        self._sent_bytes = 0
        self._closes: Counter[str] = Counter()

    def namespace(self, name: str) -> Namespace:
        """Return the namespace of this name, made at the first call.

        :raises ValueError: the name does not begin with a slash, or holds a comma.
        """
        if not name.startswith("/") or "," in name:
            raise ValueError(f"a namespace begins with a slash and has no comma, not {name!r}")
        found = self._namespaces.get(name)
        if found is None:
            found = self._namespaces[name] = Namespace(name)
        return found

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve connections within the block; at its end, shut down those that are left.

        :raises RuntimeError: the server is being served already.
        """
        if self._serving:
            raise RuntimeError("the server is being served already")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._timers.run)
            self._serving = True
            try:
                yield
            finally:
                with trio.CancelScope(shield=True):
                    await self.shutdown()
                nursery.cancel_scope.cancel()

    async def shutdown(self, code: int = 1001) -> None:
        """Close every transport and wait until they are gone; accept no new ones.

        What is left after ``close_timeout`` and twice ``disconnect_timeout`` is cut off.
        Cancelled, the connections go on closing. May be called more than once.

        :param code: WebSocket close code: 1001, or 1012 if the server comes back.
        :raises ValueError: a code that must not be sent.
        """
        check_close_code(code)
        self._serving = False
        for connection in list(self._connections):
            connection.end("server shutting down", code, "server shutting down")
        goodbyes = 2 * self.options.disconnect_timeout
        with trio.move_on_after(self.options.close_timeout + goodbyes):
            await self._wait_closed()
        for scope in self._connections.values():
            scope.cancel()
        with trio.move_on_after(goodbyes):
            await self._wait_closed()

    async def _wait_closed(self) -> None:
        if self._all_closed.is_set():
            self._all_closed = trio.Event()
        if self._open:
            await self._all_closed.wait()

    async def serve_websocket(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes = b""
    ) -> None:
        """Serve one connection until it has ended and its stream is closed.

        Cancelled, drop it.

        :param request: the head of the handshake, read from ``stream`` already.
        :param leftover: what was read behind it.
        """
        self._open += 1
        try:
            try:
                await self._serve(stream, request, leftover)
            finally:
                await trio.aclose_forcefully(stream)
        finally:
            self._open -= 1
            if not self._open:
                self._all_closed.set()

    async def _serve(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes
    ) -> None:
        try:
            query = parse_query(request.query)
        except ValueError:
            await self._refuse(stream, 400, BAD_REQUEST)
            return
        error = check_handshake(request.method, query)
        if error is None and self._origins.refuses(
            request.header("origin"),
            request.header("host"),
            parse_cookies(request.header("cookie") or ""),
        ):
            error = FORBIDDEN
        if error is not None:
            await self._refuse(stream, error.status, error)
            return
        if not self._serving or self._admitted >= self.options.max_connections:
            await self._refuse(stream, 503, HandshakeError(3, "Try again later"))
            return
        self._admitted += 1
        try:
            await self._upgrade(stream, request, query, leftover)
        finally:
            self._admitted -= 1

    async def _upgrade(
        self,
        stream: trio.abc.HalfCloseableStream,
        request: Request,
        query: Mapping[str, str],
        leftover: bytes,
    ) -> None:
        response, protocol = upgrade(request, self.options)
        if response.status_code != 101:
            await self._refuse(stream, response.status_code, BAD_REQUEST)
            return
        with trio.move_on_after(self.options.close_timeout) as patience:
            await stream.send_all(response.serialize())
        if patience.cancelled_caught or not self._serving:
            return  # the stream is closed by our caller, and the client comes back
        await self._carry(
            WebSocketTransport(stream, protocol, leftover, self.options, self._received),
            open_handshake(
                request,
                query,
                remote_address=_remote_address(stream),
                secure=isinstance(stream, trio.SSLStream),
            ),
        )

    async def _carry(self, transport: WebSocketTransport, handshake: Handshake) -> None:
        connection: Connection | None = None

        def make(transport: Transport, wire: Wire, nursery: trio.Nursery) -> Connection:
            nonlocal connection
            connection = Connection(
                transport,
                wire,
                nursery,
                handshake=handshake,
                namespaces=self._namespaces,
                options=self.options,
                timers=self._timers,
                on_end=self._note_end,
            )
            self._connections[connection] = scope
            return connection

        self._handshakes += 1
        with trio.CancelScope() as scope:
            try:
                await transport.run(make)
            finally:
                if connection is not None:
                    del self._connections[connection]
                    self._sent_messages += connection.outbox.sent_messages
                    self._sent_bytes += connection.outbox.sent_bytes

    def _note_end(self, reason: str) -> None:
        self._closes[reason] += 1

    async def _refuse(
        self, stream: trio.abc.HalfCloseableStream, status: int, error: HandshakeError
    ) -> None:
        self._refused += 1
        logger.info("handshake refused: %d %s", status, error.message)
        await send_answer(stream, status, msgspec.json.encode(error))

    def statistics(self) -> ServerStatistics:
        """Return counters; reads all connections, so it is not for every message."""
        outboxes = [connection.outbox for connection in self._connections]
        return ServerStatistics(
            connections=len(self._connections),
            sockets={name: len(space.sockets) for name, space in self._namespaces.items()},
            handshakes=self._handshakes,
            refused=self._refused,
            received_messages=self._received.messages,
            received_bytes=self._received.bytes,
            sent_messages=self._sent_messages + sum(box.sent_messages for box in outboxes),
            sent_bytes=self._sent_bytes + sum(box.sent_bytes for box in outboxes),
            closes=dict(self._closes),
        )


def _remote_address(stream: trio.abc.Stream) -> str | None:
    if not isinstance(stream, trio.SocketStream):
        return None
    try:
        address = stream.socket.getpeername()
    except OSError:
        return None
    if not isinstance(address, tuple):
        return None
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
