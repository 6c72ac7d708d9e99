"""The front door: admits each connection, and decides by its first request who serves it.

A WebSocket upgrade on a realtime path goes to its handler, which then owns the stream. What is
malformed is refused. Everything else is HTTP: see ``request_loop``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from gbs_actor.socketio.net.connection_limit import ConnectionLimit, ConnectionLimitReached
from gbs_actor.socketio.net.cors import CorsPolicy
from gbs_actor.socketio.net.front_door.accepting import Acceptor, Listener
from gbs_actor.socketio.net.front_door.admission import Admission, AdmittedConnection
from gbs_actor.socketio.net.front_door.detached import Detached, DetachedConnections
from gbs_actor.socketio.net.front_door.first_request import FirstRequest, FirstRequestReader
from gbs_actor.socketio.net.front_door.http_stream import HttpStream
from gbs_actor.socketio.net.front_door.request_loop import Fallback, RequestLoop
from gbs_actor.socketio.net.front_door.turns import Turns
from gbs_actor.socketio.net.http_exchange import RequestHandler
from gbs_actor.socketio.net.http_response import HttpResponse
from gbs_actor.socketio.net.peer import peer_address
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.tls import TlsStream
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies
from gbs_actor.socketio.net.unauthenticated import UnauthenticatedLimit

REQUEST_TIMEOUT = 30.0
"""Seconds from the first byte of an HTTP request to its last."""

logger = logging.getLogger(__name__)

_SETTLED = 0.25  # seconds without a byte after which a response counts as complete
_MAX_REFUSING = 100  # refused connections that get a response; further ones are closed without one

_TOO_MANY = HttpResponse(
    503,
    b'{"code":"SERVICE_UNAVAILABLE",'
    b'"message":"The server has as many connections as it takes; try again shortly."}',
    headers=(("Retry-After", "1"),),
)
_TOO_MANY_OF_ADDRESS = HttpResponse(
    503,
    b'{"code":"SERVICE_UNAVAILABLE",'
    b'"message":"There are as many connections from this address as there may be."}',
    headers=(("Retry-After", "1"),),
)

UpgradeHandler = Callable[
    [trio.abc.HalfCloseableStream, Request, bytes], Awaitable[Detached | None]
]
"""Serves one WebSocket: its stream, its request, and the bytes read after it.

It returns when that has ended; or with a connection that it keeps, which counts until it is
closed. The stream is a :class:`TlsStream` if the listener is a :class:`TlsListener`.
"""


@dataclass(frozen=True, slots=True)
class FrontDoorStatistics:
    """State of a front door, and counters since it was made."""

    connections: int
    """Open now, WebSockets included."""
    http_connections: int
    """Open now, at the fallback."""
    accepted: int
    refused: int
    """Beyond a limit of connections."""
    evicted: int
    """Connections and sessions without an authenticated client that were ended to make room."""
    waiting: int
    """Connections that wait for their turn: new ones, and those with bytes of a request."""
    longest_wait: float
    """Seconds that one of them has waited."""
    accept_failures: int
    bad_heads: int
    """Too large, too slow, incomplete, or malformed."""
    failed_handshakes: int
    """TLS handshakes: too slow, incomplete, or no TLS at all."""
    failures: int
    """Connections whose handler raised."""


class FrontDoor:
    """Accepts connections and passes them on.

    Listeners may be for TLS, see :class:`TlsListener`; the handshake is done in the
    connection's own task.

    :param upgrades: handlers by path; the longest prefix of the request's path wins.
    :param fallback: gets every other connection.
    :param requests: handlers of requests that need no HTTP server, by path; see
        :class:`RequestLoop`.
    :param head_limit: bytes a request head may have.
    :param head_timeout: seconds in which it has to arrive, and a TLS handshake before it.
    :param connections: open at one time; further ones get a 503.
    :param connections_per_address: of these, from one IP address (of IPv6, a /64).
    :param unauthenticated: limits the connections that no client is authenticated on; shared
        with the servers of ``upgrades``. By default they are limited like the others.
    :param trusted_proxies: proxies whose connections are not counted per address.
    :param cors: which pages may read the door's own responses.
    :param http_idle_timeout: seconds that an HTTP connection is kept without a request.
    :param request_timeout: seconds from the first byte of an HTTP request to its last.
    :param write_timeout: seconds that one write of an HTTP response may take.
    """

    def __init__(
        self,
        upgrades: Mapping[str, UpgradeHandler],
        fallback: Fallback,
        *,
        requests: Mapping[str, RequestHandler] | None = None,
        head_limit: int = 16_384,
        head_timeout: float = 10.0,
        connections: int = 20_000,
        connections_per_address: int = 4_000,
        unauthenticated: UnauthenticatedLimit | None = None,
        trusted_proxies: TrustedProxies | None = None,
        cors: CorsPolicy | None = None,
        http_idle_timeout: float = 75.0,
        request_timeout: float = REQUEST_TIMEOUT,
        write_timeout: float = 30.0,
    ) -> None:
        self._upgrades = sorted(upgrades.items(), key=lambda item: len(item[0]), reverse=True)
        self._request_loop = RequestLoop(requests or {}, fallback, head_limit)
        if trusted_proxies is None:
            trusted_proxies = TrustedProxies()
        if unauthenticated is None:
            unauthenticated = UnauthenticatedLimit(connections, connections_per_address)
        limit = ConnectionLimit(connections, connections_per_address)
        self._acceptor = Acceptor(self._serve_contained, unauthenticated)
        self._admission = Admission(limit, unauthenticated, trusted_proxies)
        self._detached = DetachedConnections(limit)
        self._turns = Turns(trusted_proxies)
        self._reader = FirstRequestReader(head_limit, head_timeout, cors or CorsPolicy.of((), ()))
        self._http_idle_timeout = http_idle_timeout
        self._request_timeout = request_timeout
        self._write_timeout = write_timeout
        self._http: set[HttpStream] = set()
        self._draining = False
        self._connections = 0
        self._requests = 0  # whose head was read, and that wait for their turn
        self._refused = self._refusing = self._failures = 0

    async def serve(
        self,
        listeners: Sequence[Listener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until :meth:`stop_accepting`, and then until the last connection has ended.

        Cancelled, close the listeners and abort all connections.

        :param listeners: closed at the end of accepting.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._turns.run)
            try:
                await self._acceptor.run(listeners, task_status=task_status)
                await self._detached.wait_closed()
            finally:
                self._detached.drop_all()
            nursery.cancel_scope.cancel()

    def stop_accepting(self) -> None:
        """Close the listeners; open connections continue."""
        self._acceptor.stop()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  (never raises TooSlowError)
        """Close every HTTP connection, once its request in flight has its response.

        Call :meth:`stop_accepting` first. Cancelled, close them at once.

        :param timeout: seconds to wait at most.
        """
        self._draining = True
        for stream in self._http:
            stream.close_when_idle()
        try:
            with trio.move_on_after(timeout):
                while True:
                    await trio.sleep(_SETTLED / 5)  # what has arrived is read meanwhile
                    if not self._requests and not any(map(self._in_flight, self._http)):
                        break
        finally:
            for stream in list(self._http):
                stream.close_now()

    def _in_flight(self, stream: HttpStream) -> bool:
        return stream.busy or trio.current_time() < stream.last_byte + _SETTLED

    def statistics(self) -> FrontDoorStatistics:
        """Return counters; never blocks."""
        turns = self._turns.statistics()
        return FrontDoorStatistics(
            connections=self._connections + len(self._detached),
            http_connections=len(self._http),
            accepted=self._acceptor.accepted,
            refused=self._refused + self._acceptor.closed,
            evicted=self._admission.unauthenticated.statistics().evicted,
            waiting=turns.waiting,
            longest_wait=turns.longest_wait,
            accept_failures=self._acceptor.failures,
            bad_heads=self._reader.bad_heads,
            failed_handshakes=self._reader.failed_handshakes,
            failures=self._failures,
        )

    async def _serve_contained(self, stream: trio.abc.HalfCloseableStream) -> None:
        """Serve one connection; its exceptions end only this connection."""
        self._connections += 1
        kept = False
        try:
            kept = await self._serve(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("a connection broke")
        except* Exception:
            self._failures += 1
            logger.exception("a connection failed")
        finally:
            self._connections -= 1
            if not kept:
                await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.abc.HalfCloseableStream) -> bool:
        """Serve one connection; return whether a handler keeps it, and so its socket."""
        peer = peer_address(stream)
        try:
            admitted = self._admission.admit(peer)
        except ConnectionLimitReached as full:
            await self._refuse(stream, peer, _TOO_MANY_OF_ADDRESS if full.of_address else _TOO_MANY)
            return False
        with admitted:
            if isinstance(stream, TlsStream):
                await self._turns.turn(peer)  # for its handshake, which takes as long as a request
            first = await self._reader.read(stream)
            return first is not None and await self._route(stream, peer, first, admitted)
        return False  # it was evicted

    async def _refuse(
        self, stream: trio.abc.HalfCloseableStream, peer: str | None, response: HttpResponse
    ) -> None:
        self._refused += 1
        if self._refusing == _MAX_REFUSING:
            return
        self._refusing += 1
        try:
            await self._turns.turn(peer)
            await self._reader.refuse(stream, response)
        finally:
            self._refusing -= 1

    async def _route(
        self,
        stream: trio.abc.HalfCloseableStream,
        peer: str | None,
        first: FirstRequest,
        admitted: AdmittedConnection,
    ) -> bool:
        self._requests += 1
        try:
            await self._turns.turn(peer, first.received)
        finally:
            self._requests -= 1
        handler = self._handler(first.request)
        if handler is None:
            await self._serve_http(stream, peer, first, admitted)
            return False
        admitted.busy()  # what the handler makes of it counts instead
        kept = await handler(stream, first.request, first.received[first.head_length :])
        if kept is None:
            return False
        self._detached.add(kept, admitted.detach())
        return True

    def _handler(self, request: Request) -> UpgradeHandler | None:
        if not request.is_websocket_upgrade:
            return None
        path = request.path
        return next(
            (handler for prefix, handler in self._upgrades if path.startswith(prefix)), None
        )

    async def _serve_http(
        self,
        stream: trio.abc.HalfCloseableStream,
        peer: str | None,
        first: FirstRequest,
        admitted: AdmittedConnection,
    ) -> None:
        http = HttpStream(
            stream,
            first.received,
            idle_timeout=self._http_idle_timeout,
            request_timeout=self._request_timeout,
            write_timeout=self._write_timeout,
            admitted=admitted,
            turn=partial(self._turns.turn, peer),
        )
        if self._draining:
            http.close_when_idle()
        self._http.add(http)
        try:
            await self._request_loop.serve(http, first, peer)
        finally:
            self._http.discard(http)
