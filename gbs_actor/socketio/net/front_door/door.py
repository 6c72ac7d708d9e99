"""The front door: admits each connection, and decides by its first request who serves it.

A WebSocket upgrade on a realtime path goes to its handler, which then owns the stream. What is
malformed is refused. Everything else is HTTP: see ``request_loop``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial

import msgspec
import trio

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.socketio.net.connection_limit import (
    ConnectionLimit,
    ConnectionLimitReached,
    OnReached,
    ignore,
)
from gbs_actor.socketio.net.cors import CorsPolicy
from gbs_actor.socketio.net.front_door.accepting import Acceptor, Listener
from gbs_actor.socketio.net.front_door.admission import Admission, AdmittedConnection
from gbs_actor.socketio.net.front_door.connection_tasks import ConnectionTasks
from gbs_actor.socketio.net.front_door.detached import DetachedConnections
from gbs_actor.socketio.net.front_door.first_request import FirstRequest, FirstRequestReader
from gbs_actor.socketio.net.front_door.http_stream import HttpStream
from gbs_actor.socketio.net.front_door.listener import AcceptedSocket
from gbs_actor.socketio.net.front_door.refusals import Refusals
from gbs_actor.socketio.net.front_door.request_loop import Fallback, RequestLoop
from gbs_actor.socketio.net.front_door.turns import Turns
from gbs_actor.socketio.net.front_door.upgrades import (
    Handlers,
    SocketHandler,
    UpgradeHandler,
    Upgrades,
)
from gbs_actor.socketio.net.front_door.waiting_sockets import WaitingSockets
from gbs_actor.socketio.net.http_exchange import RequestHandler
from gbs_actor.socketio.net.http_response import HttpResponse, send_response
from gbs_actor.socketio.net.peer import peer_address
from gbs_actor.socketio.net.tls import TlsStream
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies
from gbs_actor.socketio.net.unauthenticated import UnauthenticatedLimit

REQUEST_TIMEOUT = 30.0
"""Seconds from the first byte of an HTTP request to its last."""

logger = logging.getLogger(__name__)

_SETTLED = 0.25  # seconds without a byte after which a response counts as complete


class FrontDoorStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
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
    :param sockets: for some of the paths of ``upgrades``: they take those from a
        :class:`SocketListener` without a task, as far as their request comes at once.
    :param requests: handlers of requests that need no HTTP server, by path; see
        :class:`RequestLoop`.
    :param head_limit: bytes a request head may have.
    :param head_timeout: seconds in which it has to arrive, and a TLS handshake before it.
    :param connections: open at one time; further ones get a 503.
    :param connections_per_address: of these, from one IP address (of IPv6, a /64).
    :param unauthenticated: limits the connections that no client is authenticated on; shared
        with the servers of ``upgrades``. By default they are limited like the others.
    :param trusted_proxies: proxies whose connections are not counted per address.
    :param on_reached: called when ``connections`` or ``connections_per_address`` is reached.
    :param cors: which pages may read the door's own responses.
    :param http_idle_timeout: seconds that an HTTP connection is kept without a request.
    :param request_timeout: seconds from the first byte of an HTTP request to its last.
    :param write_timeout: seconds that one write of an HTTP response may take.
    :param environment: where the dates of responses come from.
    """

    def __init__(
        self,
        upgrades: Mapping[str, UpgradeHandler],
        fallback: Fallback,
        *,
        sockets: Mapping[str, SocketHandler] | None = None,
        requests: Mapping[str, RequestHandler] | None = None,
        head_limit: int = 16_384,
        head_timeout: float = 10.0,
        connections: int = 20_000,
        connections_per_address: int = 4_000,
        unauthenticated: UnauthenticatedLimit | None = None,
        trusted_proxies: TrustedProxies | None = None,
        on_reached: OnReached = ignore,
        cors: CorsPolicy | None = None,
        http_idle_timeout: float = 75.0,
        request_timeout: float = REQUEST_TIMEOUT,
        write_timeout: float = 30.0,
        environment: Environment = SYSTEM,
    ) -> None:
        self._upgrades = Upgrades(upgrades, sockets or {})
        self._wall = environment.wall
        self._request_loop = RequestLoop(requests or {}, fallback, head_limit, self._wall)
        if trusted_proxies is None:
            trusted_proxies = TrustedProxies()
        if unauthenticated is None:
            unauthenticated = UnauthenticatedLimit(connections, connections_per_address)
        limit = ConnectionLimit(connections, connections_per_address)
        limit.on_reached = on_reached
        self._acceptor = Acceptor(self._begin, unauthenticated)
        self._admission = Admission(limit, unauthenticated, trusted_proxies)
        self._detached = DetachedConnections(limit)
        self._turns = Turns(trusted_proxies, environment.thread_time)
        self._waiting = WaitingSockets(self._turns)
        self._reader = FirstRequestReader(
            head_limit, head_timeout, cors or CorsPolicy.of((), ()), self._wall
        )
        self._refusals = Refusals(self._turns, self._reader)
        self._http_idle_timeout = http_idle_timeout
        self._request_timeout = request_timeout
        self._write_timeout = write_timeout
        self._http: dict[HttpStream, None] = {}
        """Connections at the HTTP server, or at the handlers of ``requests``; in their order."""
        self._draining = False
        self._tasks = ConnectionTasks()
        self._requests = 0  # that tasks have read, and that wait for their turn

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
                async with self._tasks.running():
                    await self._acceptor.run(listeners, task_status=task_status)
                    await self._waiting.wait_none()
                await self._detached.wait_closed()
            finally:
                self._waiting.close_all()
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
                    requests = self._requests + len(self._waiting)
                    if not requests and not any(map(self._in_flight, self._http)):
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
            connections=len(self._tasks) + len(self._waiting) + len(self._detached),
            http_connections=len(self._http),
            accepted=self._acceptor.accepted,
            refused=self._refusals.refused + self._acceptor.closed,
            evicted=self._admission.unauthenticated.statistics().evicted,
            waiting=turns.waiting,
            longest_wait=turns.longest_wait,
            accept_failures=self._acceptor.failures,
            bad_heads=self._reader.bad_heads,
            failed_handshakes=self._reader.failed_handshakes,
            failures=self._tasks.failures,
        )

    def _begin(self, accepted: trio.abc.HalfCloseableStream | AcceptedSocket) -> None:
        """Admit a new connection and serve it, or refuse it."""
        if isinstance(accepted, AcceptedSocket):
            self._begin_socket(accepted)
            return
        peer = peer_address(accepted)
        try:
            admitted = self._admission.admit(peer)
        except ConnectionLimitReached as full:
            self._tasks.start(accepted, nullcontext(), self._refusals.refuse, peer, full)
        else:
            self._tasks.start(accepted, admitted, self._serve, peer, admitted)

    def _begin_socket(self, accepted: AcceptedSocket) -> None:
        try:
            admitted = self._admission.admit(accepted.peer)
        except ConnectionLimitReached as full:
            stream, peer = accepted.stream(), accepted.peer
            self._tasks.start(stream, nullcontext(), self._refusals.refuse, peer, full)
            return
        try:
            self._serve_socket(accepted, admitted)
        except Exception:
            self._tasks.failures += 1
            logger.exception("a connection failed")
            accepted.socket.close()
            admitted.end()

    def _serve_socket(self, accepted: AcceptedSocket, admitted: AdmittedConnection) -> None:
        """Let a WebSocket wait for its turn; serve what is none, or not there yet, in a task."""
        peer = accepted.peer
        first = self._reader.read_at_once(accepted.socket)
        if isinstance(first, bytes):
            self._tasks.start(accepted.stream(), admitted, self._serve, peer, admitted, first)
            return
        handlers = self._upgrades.handlers(first.request)
        if handlers is None or handlers.take is None:
            self._tasks.start(accepted.stream(), admitted, self._route, peer, first, admitted)
            return
        take = partial(self._take, accepted, first, admitted, handlers)
        self._waiting.add(accepted, admitted, first.received, take)

    def _take(
        self,
        accepted: AcceptedSocket,
        first: FirstRequest,
        admitted: AdmittedConnection,
        handlers: Handlers,
    ) -> None:
        """Give a socket to its handler, as its turn has come."""
        assert handlers.take is not None
        admitted.busy()  # what the handler makes of it counts instead
        try:
            kept = handlers.take(accepted.socket, accepted.peer, first.request, first.leftover)
        except Exception:
            self._tasks.failures += 1
            logger.exception("a connection failed")
            admitted.end()
            return
        if kept is None:
            self._tasks.start(accepted.stream(), admitted, self._upgrade, first, admitted, handlers)
        elif isinstance(kept, HttpResponse):
            self._tasks.start(accepted.stream(), admitted, self._respond, kept)
        else:
            self._detached.add(kept, admitted.detach())

    async def _serve(
        self,
        stream: trio.abc.HalfCloseableStream,
        peer: str | None,
        admitted: AdmittedConnection,
        received: bytes = b"",
    ) -> bool:
        """Serve one connection; return whether a handler keeps it.

        :param received: the bytes that were read before.
        """
        if isinstance(stream, TlsStream):
            await self._turns.turn(peer)  # for its handshake, which takes as long as a request
        first = await self._reader.read(stream, received)
        return first is not None and await self._route(stream, peer, first, admitted)

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
        handlers = self._upgrades.handlers(first.request)
        if handlers is not None:
            return await self._upgrade(stream, first, admitted, handlers)
        await self._serve_http(stream, peer, first, admitted)
        return False

    async def _upgrade(
        self,
        stream: trio.abc.HalfCloseableStream,
        first: FirstRequest,
        admitted: AdmittedConnection,
        handlers: Handlers,
    ) -> bool:
        admitted.busy()  # what the handler makes of it counts instead
        kept = await handlers.serve(stream, first.request, first.leftover)
        if kept is None:
            return False
        self._detached.add(kept, admitted.detach())
        return True

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
        self._http[http] = None
        try:
            await self._request_loop.serve(http, first, peer)
        finally:
            del self._http[http]

    async def _respond(self, stream: trio.abc.HalfCloseableStream, response: HttpResponse) -> bool:
        await send_response(stream, response, self._wall())
        return False
