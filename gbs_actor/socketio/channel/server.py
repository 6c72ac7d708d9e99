"""A server of channels: accepts WebSockets, runs their channels, shuts them down, counts."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, TypeVar

import msgspec
import trio

from gbs_actor.socketio.channel.channel import (
    Channel,
    MakeChannel,
    Transport,
    UpgradeTransport,
    run_channel,
)
from gbs_actor.socketio.channel.close_code import CloseCode, check_close_code
from gbs_actor.socketio.channel.handshake import Handshake, join_fields, open_handshake, parse_query
from gbs_actor.socketio.channel.memory_limit import MemoryLimit
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.timers import Timers
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.websocket import WebSocketTransport, upgrade
from gbs_actor.socketio.net.connection_limit import ConnectionLimit
from gbs_actor.socketio.net.http_response import HttpResponse, RequestRefused, send_response
from gbs_actor.socketio.net.origin import OriginPolicy
from gbs_actor.socketio.net.peer import is_secure, peer_address
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies
from gbs_actor.socketio.net.unauthenticated import UnauthenticatedLimit

logger = logging.getLogger(__name__)

UNCACHED: Final = (("Cache-Control", "no-store"),)

Accepted = TypeVar("Accepted")
"""What a server knows about a WebSocket that it accepts."""


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
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


class ChannelServer(ABC, Generic[Accepted]):
    """Serves WebSockets, on streams of its own and for an ASGI application.

    Run it by :meth:`serving`. Inside, pass WebSocket upgrades on own streams to
    :meth:`serve_websocket`; for everything else there is
    :class:`~gbs_actor.socketio.channel.asgi.WebSocketApp`.

    :param connection_limit: shared with other servers; without it, the server has its own.
    :param unauthenticated: shared with other servers and with the front door.
    :param memory_limit: shared with other servers, too; bounds what is queued on all connections.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        connection_limit: ConnectionLimit | None = None,
        unauthenticated: UnauthenticatedLimit | None = None,
        memory_limit: MemoryLimit | None = None,
    ) -> None:
        self.options = options
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
        self._nursery: trio.Nursery | None = None
        self._serving = False
        self._channels: dict[Channel, trio.CancelScope] = {}
        self._open = 0  # requests being served, refused ones included
        self._all_closed = trio.Event()
        self._handshakes = self._refused = 0
        self._sent_messages = self._sent_bytes = 0  # by channels that have ended
        self._closes: Counter[str] = Counter()

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
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._timers.run)
            self._nursery = nursery
            self._serving = True
            try:
                yield
            finally:
                with trio.CancelScope(shield=True):
                    await self.shutdown()
                nursery.cancel_scope.cancel()

    async def shutdown(self, code: int = CloseCode.GOING_AWAY) -> None:
        """Close every transport and wait until they have ended; accept no new ones.

        Aborts those that are left after ``close_timeout`` and twice ``disconnect_timeout``.
        Cancelled, the connections continue to close. May be called more than once.

        :param code: WebSocket close code: 1001, or 1012 if the server restarts.
        :raises ValueError: a code that must not be sent.
        """
        check_close_code(code)
        self._serving = False
        for channel in list(self._channels):
            channel.end("server shutting down", code, "server shutting down")
        handlers = 2 * self.options.disconnect_timeout
        with trio.move_on_after(self.options.close_timeout + handlers):
            await self._wait_closed()
        for scope in self._channels.values():
            scope.cancel()
        with trio.move_on_after(handlers):
            await self._wait_closed()

    async def _wait_closed(self) -> None:
        if self._all_closed.is_set():
            self._all_closed = trio.Event()
        if self._open:
            await self._all_closed.wait()

    @contextmanager
    def _counted_as_open(self) -> Iterator[None]:
        """Make :meth:`shutdown` wait for the block."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._all_closed.set()

    # WebSocket

    async def serve_websocket(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes = b""
    ) -> None:
        """Serve one WebSocket until it has ended and its stream is closed.

        Cancelled, drop it.

        :param request: the head of the handshake, read from ``stream`` already.
        :param leftover: the bytes read after it.
        """
        with self._counted_as_open():
            try:
                await self._serve_websocket(stream, request, leftover)
            except RequestRefused as refusal:
                await send_response(stream, self.refusal_response(refusal))
            finally:
                await trio.aclose_forcefully(stream)

    async def _serve_websocket(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes
    ) -> None:
        peer, secure = peer_address(stream), is_secure(stream)
        with self.accept(request, peer, secure=secure) as accepted:
            options = self.options
            upgraded = upgrade(
                request,
                max_payload=options.max_payload,
                deflate=options.deflate,
                subprotocols=self.subprotocols(accepted),
            )
            if not upgraded.accepted:
                refusal = self.bad_request(upgraded.response.status_code)
                refusal.headers = upgraded.hints
                raise refusal
            with trio.move_on_after(options.close_timeout) as in_time:
                await stream.send_all(upgraded.response.serialize())
            if in_time.cancelled_caught or not self.accepting:
                return  # our caller closes the stream, and the client reconnects
            await self.carry(
                WebSocketTransport(stream, upgraded, leftover, self.received, self.read_rate()),
                accepted,
            )

    @contextmanager
    def accept(self, request: Request, peer: str | None, *, secure: bool) -> Iterator[Accepted]:
        """Check a WebSocket's request, and count its connection within the block.

        :param peer: IP address of the other end; ``None`` if it has none.
        :param secure: whether it uses TLS.
        :raises RequestRefused: it must not be opened.
        """
        with self._counted_as_open(), self._accept(request, peer, secure=secure) as accepted:
            yield accepted

    @abstractmethod
    def _accept(
        self, request: Request, peer: str | None, *, secure: bool
    ) -> AbstractContextManager[Accepted]:
        """See :meth:`accept`."""

    def subprotocols(self, accepted: Accepted) -> Sequence[str]:
        """Return those that may be selected for a WebSocket, the best one first."""
        return ()

    @abstractmethod
    async def carry(self, transport: UpgradeTransport, accepted: Accepted) -> None:
        """Carry a WebSocket until it has ended.

        Cancelled, stop writing; the disconnect handlers run nevertheless.

        :param transport: ready for the first message.
        """

    @abstractmethod
    def bad_request(self, status: int) -> RequestRefused:
        """Return the refusal of a request that is malformed."""

    def refusal_response(self, refusal: RequestRefused) -> HttpResponse:
        """Return the response to a refused request, and count it."""
        self._refused += 1
        body = msgspec.json.encode(refusal.error)
        logger.info("request refused: %d %s", refusal.status, body.decode())
        overloaded = refusal.status == HTTPStatus.SERVICE_UNAVAILABLE
        again = (("Retry-After", "1"),) if overloaded else ()
        return HttpResponse(refusal.status, body, headers=(*UNCACHED, *again, *refusal.headers))

    # For subclasses

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
        return open_handshake(headers, query, sender)

    async def _run(self, make: MakeChannel, transport: Transport) -> None:
        """Carry a channel until it has ended, or :meth:`shutdown` cancels it."""
        channel: Channel | None = None

        def made(transport: Transport, nursery: trio.Nursery) -> Channel:
            nonlocal channel
            channel = make(transport, nursery)
            self._channels[channel] = scope
            channel.outbox.add_limit(self.memory_limit)
            return channel

        with trio.CancelScope() as scope:
            try:
                await run_channel(made, transport, self.options.close_timeout)
            finally:
                if channel is not None:
                    self._remove(channel)

    def _remove(self, channel: Channel) -> None:
        """Remove a channel that has ended; keep its counters."""
        del self._channels[channel]
        channel.outbox.remove_limit(self.memory_limit)
        self._sent_messages += channel.outbox.sent_messages
        self._sent_bytes += channel.outbox.sent_bytes

    def _count_end(self, reason: str) -> None:
        self._closes[reason] += 1

    def statistics(self) -> ChannelStatistics:
        """Return counters; reads all connections, so do not call it for every message."""
        outboxes = [channel.outbox for channel in self._channels]
        return ChannelStatistics(
            connections=len(self._channels),
            handshakes=self._handshakes,
            refused=self._refused,
            received_messages=self.received.messages,
            received_bytes=self.received.bytes,
            sent_messages=self._sent_messages + sum(box.sent_messages for box in outboxes),
            sent_bytes=self._sent_bytes + sum(box.sent_bytes for box in outboxes),
            closes=dict(self._closes),
        )
