"""A server of channels: accepts WebSockets, runs their channels, shuts them down, counts."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from http import HTTPStatus
from math import ceil
from typing import Final, Generic

import msgspec
import trio

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.socketio.channel.channel import Channel, UpgradeTransport
from gbs_actor.socketio.channel.channels import Accepted, Channels
from gbs_actor.socketio.channel.handshake import Handshake, join_fields, open_handshake, parse_query
from gbs_actor.socketio.channel.liveness import liveness_wheel
from gbs_actor.socketio.channel.memory_limit import MemoryLimit
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.plane import Plane, PlaneConnection, PlaneStatistics, open_plane
from gbs_actor.socketio.channel.stream_driver import StreamDriver
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.timers import Timers
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.websocket_transport import Driver, WebSocketTransport
from gbs_actor.socketio.net.connection_limit import ConnectionLimit
from gbs_actor.socketio.net.http_response import HttpResponse, RequestRefused, send_response
from gbs_actor.socketio.net.origin import OriginPolicy
from gbs_actor.socketio.net.peer import is_secure, peer_address, take_socket
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.sockets import Socket
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies
from gbs_actor.socketio.net.unauthenticated import UnauthenticatedLimit
from gbs_actor.socketio.websocket.close_code import CloseCode, check_close_code
from gbs_actor.socketio.websocket.opening_handshake import Upgrade, upgrade

logger = logging.getLogger(__name__)

_CLOSE_INTERVAL: Final = 0.01
"""Seconds from some closes of a shutdown to the next ones."""
_CLOSED_TOGETHER: Final = 20
"""Connections, at least: their clients may well come back at once."""

UNCACHED: Final = (("Cache-Control", "no-store"),)


class ChannelStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """State of a server's connections, and counters since it was made."""

    connections: int
    """Open now."""
    handshakes: int
    """Connections that were opened."""
    refused: int
    """Requests that got an HTTP error."""
    received_messages: int
    received_bytes: int
    sent_messages: int
    sent_bytes: int
    closes: Mapping[str, int]
    """Connections that have ended, per reason."""
    overflows: int
    """Of these, because too much was queued."""
    plane: PlaneStatistics | None
    """``None`` where the system has no ``epoll``, and before :meth:`ChannelServer.serving`."""


class ChannelServer(ABC, Generic[Accepted]):
    """Serves WebSockets, on streams of its own and for an ASGI application.

    Run it by :meth:`serving`. Inside, pass WebSocket upgrades on own streams to
    :meth:`serve_websocket`; for everything else there is
    :class:`~gbs_actor.socketio.channel.asgi.WebSocketApp`. Plain ones on sockets continue in a
    :class:`~gbs_actor.socketio.channel.plane.Plane`, all others have a task each.

    :param connection_limit: shared with other servers; without it, the server has its own.
    :param unauthenticated: shared with other servers and with the front door.
    :param memory_limit: shared with other servers, too; bounds what is queued on all connections.
    :param environment: where ids and times come from.
    :param plane: opens the plane; returns ``None`` if every connection is to have a task.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        connection_limit: ConnectionLimit | None = None,
        unauthenticated: UnauthenticatedLimit | None = None,
        memory_limit: MemoryLimit | None = None,
        environment: Environment = SYSTEM,
        plane: Callable[[], Plane | None] = open_plane,
    ) -> None:
        self.options = options
        self.environment = environment
        """Where its ids and times come from."""
        self.open_plane = plane
        """Called at the start of :meth:`serving`."""
        if connection_limit is None:
            connection_limit = ConnectionLimit(
                options.max_connections, options.max_connections_per_address
            )
        self.connection_limit = connection_limit
        if unauthenticated is None:
            unauthenticated = UnauthenticatedLimit(
                options.max_unauthenticated,
                options.max_unauthenticated_per_address,
                options.unauthenticated_grace,
            )
        self.unauthenticated = unauthenticated
        if memory_limit is None:
            memory_limit = MemoryLimit(options.outbox_bytes_in_all)
        self.memory_limit = memory_limit
        self.trusted_proxies = TrustedProxies(options.trusted_proxies)
        self.received = Traffic()
        """Counted by the transports."""
        self._origins = OriginPolicy(options.allowed_origins, options.cookie_names)
        self._timers = Timers()
        self._wheel = liveness_wheel(self._timers, options)
        self._serving = False
        self._plane: Plane | None = None
        self.channels: Channels[Accepted] = Channels(
            memory_limit, options.close_timeout, self._removed
        )
        self._open = 0  # requests being served, refused ones included
        self._all_closed = trio.Event()
        self._handshakes = self._refused = 0

    @property
    @abstractmethod
    def path(self) -> str:
        """What the paths that it serves begin with."""

    @property
    def accepting(self) -> bool:
        """Whether connections are served, and no shutdown has begun."""
        return self._serving

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve connections within the block; at its end, shut down those that are left.

        :raises RuntimeError: the server is being served already.
        """
        if self._serving:
            raise RuntimeError("the server is being served already")
        plane = self._plane = self.open_plane()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._timers.run)
                if plane is not None:
                    nursery.start_soon(plane.run, self.environment.stopwatch)
                self.channels.use(nursery)
                self._serving = True
                try:
                    yield
                finally:
                    with trio.CancelScope(shield=True):
                        await self.shutdown()
                    nursery.cancel_scope.cancel()
        finally:
            if plane is not None:
                plane.close()

    def stop_reading(self) -> None:
        """Read no more of what clients send; what was received gets its reply.

        For the time before :meth:`shutdown`: a client finds that what it sends then was not
        received, as it does if its network fails.
        """
        for channel in self.channels:
            channel.stop_reading()

    async def shutdown(self, code: int = CloseCode.GOING_AWAY, *, spread: float = 0.0) -> None:
        """Close every transport and wait until they have ended; accept no new ones.

        Aborts those that are left after ``close_timeout`` and twice ``disconnect_timeout``.
        Cancelled, the connections continue to close. May be called more than once.

        :param code: WebSocket close code: 1001, or 1012 if the server restarts.
        :param spread: seconds over which many are closed, so that clients do not all come back
            at once.
        :raises ValueError: a code that must not be sent.
        """
        check_close_code(code)
        self._serving = False
        channels = list(self.channels)
        steps = max(1, round(spread / _CLOSE_INTERVAL))
        together = max(_CLOSED_TOGETHER, ceil(len(channels) / steps)) if spread else len(channels)
        try:
            for number, channel in enumerate(channels):
                if number and number % together == 0:
                    await trio.sleep(spread / steps)
                _shut_down(channel, code)
        except trio.Cancelled:
            for channel in channels:  # those that are closing already are not changed
                _shut_down(channel, code)
            raise
        handlers = 2 * self.options.disconnect_timeout
        with trio.move_on_after(self.options.close_timeout + handlers):
            await self._wait_closed()
        for channel in self.channels:
            channel.lose("server shutting down")
        with trio.move_on_after(handlers):
            await self._wait_closed()

    async def _wait_closed(self) -> None:
        while self._open or len(self.channels):
            if self._all_closed.is_set():  # else another task waits, too
                self._all_closed = trio.Event()
            await self._all_closed.wait()

    @contextmanager
    def counted_as_open(self) -> Iterator[None]:
        """Make :meth:`shutdown` wait for the block."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._note_closed()

    def _note_closed(self) -> None:
        if not self._open and not len(self.channels):
            self._all_closed.set()

    # WebSocket

    async def serve_websocket(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes = b""
    ) -> PlaneConnection | None:
        """Serve one WebSocket: open it, and run its channel.

        Cancelled, drop it.

        :param request: the head of the handshake, read from ``stream`` already.
        :param leftover: the bytes read after it.
        :returns: the connection, if it continues in the plane, which then owns the socket of
            ``stream``; ``None`` if all has ended and the stream is closed.
        """
        kept = None
        with self.counted_as_open():
            try:
                kept = await self._serve_websocket(stream, request, leftover)
            except RequestRefused as refusal:
                response = self.refusal_response(refusal, request, peer_address(stream))
                await send_response(stream, response, self.environment.wall())
            finally:
                if kept is None:  # else no checkpoint may come before our caller has it
                    await trio.aclose_forcefully(stream)
        return kept

    def take_websocket(
        self, socket: Socket, peer: str | None, request: Request, leftover: bytes
    ) -> PlaneConnection | HttpResponse | None:
        """Open one WebSocket on a plain socket, which the plane owns from now on.

        :param peer: IP address of its other end; ``None`` if it has none.
        :returns: the connection; or the response that refuses it; ``None`` if it needs
            :meth:`serve_websocket`. The socket is still the caller's in the last two cases.
        """
        offers = self.options.deflate and request.header("sec-websocket-extensions") is not None
        if self._plane is None or offers:
            return None
        try:
            accepted = self.accept(request, peer, secure=False)
            try:
                upgraded = self._upgrade(request, accepted)
            except BaseException:
                self.release(accepted)
                raise
        except RequestRefused as refusal:
            return self.refusal_response(refusal, request, peer)
        except BaseException:
            socket.close()
            raise
        return self._open_in_plane(self._plane.add(socket), upgraded, accepted, leftover)

    async def _serve_websocket(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes
    ) -> PlaneConnection | None:
        accepted = self.accept(request, peer_address(stream), secure=is_secure(stream))
        try:
            upgraded = self._upgrade(request, accepted)
            connection = self._to_plane(stream, upgraded)
            sent = connection is not None or await self._send_head(stream, upgraded)
        except BaseException:
            self.release(accepted)
            raise
        if connection is not None:
            return self._open_in_plane(connection, upgraded, accepted, leftover)
        if not sent:
            self.release(accepted)  # our caller closes the stream, and the client reconnects
            return None
        driver = StreamDriver(stream, deflated=upgraded.deflated)
        transport = self._transport(driver, upgraded)
        self.open_channel(transport, accepted, trio.lowlevel.current_task().context)
        await driver.run(transport, leftover)
        return None

    def _upgrade(self, request: Request, accepted: Accepted) -> Upgrade:
        """Return the 101 to a handshake.

        :raises RequestRefused: the handshake is malformed.
        """
        upgraded = upgrade(
            request,
            max_payload=self.options.max_payload,
            deflate=self.options.deflate,
            subprotocols=self.subprotocols(accepted),
            now=self.environment.wall(),
        )
        if not upgraded.accepted:
            refusal = self.bad_request(upgraded.status)
            refusal.headers = upgraded.hints
            raise refusal
        return upgraded

    def _to_plane(
        self, stream: trio.abc.HalfCloseableStream, upgraded: Upgrade
    ) -> PlaneConnection | None:
        """Move a stream's socket to the plane; ``None``: the stream keeps its task."""
        if self._plane is None or upgraded.deflated:
            return None
        socket = take_socket(stream)
        return None if socket is None else self._plane.add(socket)

    def _open_in_plane(
        self, connection: PlaneConnection, upgraded: Upgrade, accepted: Accepted, leftover: bytes
    ) -> PlaneConnection:
        """Open a connection whose 101 goes out with the first message."""
        transport = self._transport(connection, upgraded)
        channel = self.open_channel(transport, accepted, connection.context, upgraded.head)
        try:
            connection.start(transport, leftover)
        except OSError:
            channel.lose("transport error")  # the system has no room for it in the epoll
            raise
        return connection

    async def _send_head(self, stream: trio.abc.SendStream, upgraded: Upgrade) -> bool:
        """Send the 101; return whether the client took it, and no shutdown has begun."""
        with trio.move_on_after(self.options.close_timeout) as in_time:
            await stream.send_all(upgraded.head)
        return not in_time.cancelled_caught and self.accepting

    def _transport(self, driver: Driver, upgraded: Upgrade) -> WebSocketTransport:
        return WebSocketTransport(
            driver, upgraded.parser, self.received, self.read_rate(), self._timers
        )

    @abstractmethod
    def accept(self, request: Request, peer: str | None, *, secure: bool) -> Accepted:
        """Check a WebSocket's request, and count its connection until :meth:`release`.

        :param peer: IP address of the other end; ``None`` if it has none.
        :param secure: whether it uses TLS.
        :raises RequestRefused: it must not be opened.
        """

    @abstractmethod
    def release(self, accepted: Accepted) -> None:
        """Stop counting what :meth:`accept` has counted."""

    def subprotocols(self, accepted: Accepted) -> Sequence[str]:
        """Return those that may be selected for a WebSocket, the best one first."""
        return ()

    @abstractmethod
    def make_channel(
        self, transport: UpgradeTransport, tasks: ChannelTasks, accepted: Accepted
    ) -> Channel:
        """Return the channel of a WebSocket; it calls :meth:`.Channels.ended` at its end."""

    @abstractmethod
    def bad_request(self, status: int) -> RequestRefused:
        """Return the refusal of a request that is malformed."""

    def refusal_response(
        self, refusal: RequestRefused, request: Request, peer: str | None
    ) -> HttpResponse:
        """Return the response to a refused request, and count it.

        :param peer: IP address of the other end; ``None`` if it has none.
        """
        self._refused += 1
        self.request_refused(request, peer, refusal)
        body = msgspec.json.encode(refusal.error)
        logger.debug("request refused: %d %s", refusal.status, body.decode())
        overloaded = refusal.status == HTTPStatus.SERVICE_UNAVAILABLE
        again = (("Retry-After", "1"),) if overloaded else ()
        return HttpResponse(refusal.status, body, headers=(*UNCACHED, *again, *refusal.headers))

    # For subclasses

    def request_refused(self, request: Request, peer: str | None, refusal: RequestRefused) -> None:
        """Called with each request that is refused; must not block or raise.

        :param peer: IP address of the other end; ``None`` if it has none.
        """

    def client_address(self, request: Request, peer: str | None) -> str | None:
        """Return the IP address of a client, past trusted proxies; ``None`` if it has none.

        :param request: may be malformed; then it is the address of the other end.
        """
        headers = join_fields(request.fields)
        try:
            return self.trusted_proxies.resolve(peer, secure=False, headers=headers).address
        except ValueError:
            return peer

    def read_rate(self) -> ReadRate:
        """Return how fast a new transport is read."""
        return ReadRate(self.options.packet_rate, self.options.packet_burst)

    def _handshake(self, request: Request, peer: str | None, *, secure: bool) -> Handshake:
        """Describe a request, and the client behind trusted proxies.

        :raises RequestRefused: it is malformed.
        """
        headers = join_fields(request.fields)
        try:
            query = parse_query(request.query)
            sender = self.trusted_proxies.resolve(peer, secure=secure, headers=headers)
        except ValueError:
            raise self.bad_request(HTTPStatus.BAD_REQUEST) from None
        return open_handshake(headers, query, sender, self.environment.now())

    def open_channel(
        self, transport: UpgradeTransport, accepted: Accepted, context: Context, head: bytes = b""
    ) -> Channel:
        """Begin a channel on a transport that is ready for the first message.

        From now on the channel releases what is counted. At its end, all that it has run is
        ended in a task of this server, and then its transport is released.

        :param context: what receives runs in it; the channel's tasks run in copies.
        :param head: of an HTTP response, which is written before the first message.
        """
        try:
            channel = self.make_channel(transport, self.channels.new_tasks(context), accepted)
        except BaseException:
            self.release(accepted)
            transport.release()
            raise
        transport.channel = channel
        if not head:
            self.channels.open(channel, accepted)
        else:
            channel.outbox.hold()
            channel.outbox.send(Message.head(head))
            self.channels.open(channel, accepted)
            channel.outbox.release()
        return channel

    def _removed(self, _channel: Channel, accepted: Accepted) -> None:
        """Release what is counted for a channel that has ended; a subclass extends it."""
        self.release(accepted)
        self._note_closed()

    def statistics(self) -> ChannelStatistics:
        """Return counters; reads all connections, so do not call it for every message."""
        channels, sent = self.channels, self.channels.sent()
        return ChannelStatistics(
            connections=len(channels),
            handshakes=self._handshakes,
            refused=self._refused,
            received_messages=self.received.messages,
            received_bytes=self.received.bytes,
            sent_messages=sent.messages,
            sent_bytes=sent.bytes,
            closes=dict(channels.closes),
            overflows=channels.overflows,
            plane=None if self._plane is None else self._plane.statistics(),
        )


def _shut_down(channel: Channel, code: int) -> None:
    channel.end("server shutting down", code, "server shutting down")
