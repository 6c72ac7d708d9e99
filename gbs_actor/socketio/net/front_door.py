"""The listener: reads each connection's first request head, and decides who serves it.

A WebSocket upgrade on a realtime path goes to its handler, which then owns the stream. What is
malformed is refused. Everything else goes to an HTTP server with the head replayed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import trio

from gbs_actor.socketio.net.admission import Admission, AdmittedConnection
from gbs_actor.socketio.net.connection_limit import (
    ConnectionLimit,
    ConnectionLimitReached,
    counted_as,
)
from gbs_actor.socketio.net.cors import CorsPolicy
from gbs_actor.socketio.net.descriptors import SpareDescriptor, out_of_descriptors
from gbs_actor.socketio.net.detached import Detached, DetachedConnections
from gbs_actor.socketio.net.fair_queue import FairQueue
from gbs_actor.socketio.net.http_response import HttpResponse, send_response
from gbs_actor.socketio.net.http_stream import HttpStream
from gbs_actor.socketio.net.peer import peer_address
from gbs_actor.socketio.net.request import (
    LOWEST,
    BadRequest,
    Request,
    head_length,
    origins_in,
    parse_request,
    refusal_of_head,
)
from gbs_actor.socketio.net.tls import TlsStream
from gbs_actor.socketio.net.trusted_proxies import TrustedProxies
from gbs_actor.socketio.net.unauthenticated import UnauthenticatedLimit

REQUEST_TIMEOUT = 30.0
"""Seconds from the first byte of an HTTP request to its last."""

logger = logging.getLogger(__name__)

_RECEIVE = 16_384
_ACCEPT_PAUSE = 0.1  # seconds, where accepting fails: out of descriptors, or of memory
_SETTLED = 0.25  # seconds without a byte after which a response counts as complete
_REFUSED_HEAD_TIMEOUT = 1.0  # seconds for the head of a request that is refused anyway
_CLOSED_AT_ONCE = 32  # connections, where there are no descriptors left
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
_TOO_SLOW = HttpResponse(
    408, b'{"code":"REQUEST_TIMEOUT","message":"The head of the request came too slowly."}'
)
_NO_TLS = HttpResponse(
    400, b'{"code":"BAD_REQUEST","message":"This port speaks TLS: the address is https://."}'
)

UpgradeHandler = Callable[
    [trio.abc.HalfCloseableStream, Request, bytes], Awaitable[Detached | None]
]
"""Serves one WebSocket: its stream, its request, and the bytes read after it.

It returns when that has ended; or with a connection that it keeps, which counts until it is
closed. The stream is a :class:`TlsStream` if the listener is a :class:`TlsListener`.
"""

Fallback = Callable[[HttpStream], Awaitable[None]]
"""Serves one HTTP connection."""

Listener = trio.abc.Listener[Any]


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
        self._fallback = fallback
        self._head_limit = head_limit
        self._head_timeout = head_timeout
        self._trusted_proxies = trusted_proxies or TrustedProxies()
        if unauthenticated is None:
            unauthenticated = UnauthenticatedLimit(connections, connections_per_address)
        limit = ConnectionLimit(connections, connections_per_address)
        self._admission = Admission(limit, unauthenticated, self._trusted_proxies)
        self._detached = DetachedConnections(limit)
        self._work = FairQueue()
        self._spare = SpareDescriptor()
        self._cors = cors or CorsPolicy.of((), ())
        self._http_idle_timeout = http_idle_timeout
        self._request_timeout = request_timeout
        self._write_timeout = write_timeout
        self._accepting: trio.CancelScope | None = None
        self._http: set[HttpStream] = set()
        self._connections = 0
        self._accepted = 0
        self._refused = 0
        self._accept_failures = 0
        self._bad_heads = 0
        self._failed_handshakes = 0
        self._refusing = 0
        self._failures = 0

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
        async with trio.open_nursery() as working:
            working.start_soon(self._work.run)
            with self._spare.held():
                try:
                    async with trio.open_nursery() as connections:
                        self._accepting = trio.CancelScope()
                        with self._accepting:
                            async with trio.open_nursery() as accepting:
                                for listener in listeners:
                                    accepting.start_soon(self._accept, listener, connections)
                                task_status.started()
                    await self._detached.wait_closed()
                finally:
                    self._detached.drop_all()
            working.cancel_scope.cancel()

    def stop_accepting(self) -> None:
        """Close the listeners; open connections continue."""
        if self._accepting is not None:
            self._accepting.cancel()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  (never raises TooSlowError)
        """Wait until no HTTP request is in flight, then close every HTTP connection.

        Call :meth:`stop_accepting` first. Cancelled, close them at once.

        :param timeout: seconds to wait at most.
        """
        try:
            with trio.move_on_after(timeout):
                while True:
                    waiting = self._work.statistics().waiting
                    if not waiting and not any(map(self._in_flight, self._http)):
                        break
                    await trio.sleep(_SETTLED / 5)
        finally:
            for stream in list(self._http):
                stream.close_now()

    def _in_flight(self, stream: HttpStream) -> bool:
        return stream.busy or trio.current_time() < stream.last_byte + _SETTLED

    def statistics(self) -> FrontDoorStatistics:
        """Return counters; never blocks."""
        work = self._work.statistics()
        return FrontDoorStatistics(
            connections=self._connections + len(self._detached),
            http_connections=len(self._http),
            accepted=self._accepted,
            refused=self._refused,
            evicted=self._admission.unauthenticated.statistics().evicted,
            waiting=work.waiting,
            longest_wait=work.longest_wait,
            accept_failures=self._accept_failures,
            bad_heads=self._bad_heads,
            failed_handshakes=self._failed_handshakes,
            failures=self._failures,
        )

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        failures = 0  # in a row
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except trio.ClosedResourceError:
                    return
                except OSError as error:
                    failures += 1
                    self._accept_failures += 1
                    if failures == 1:
                        logger.warning("accepting a connection failed: %s", error)
                    with trio.move_on_after(_ACCEPT_PAUSE):
                        if out_of_descriptors(error):
                            await self._free_descriptors(listener, again=failures > 1)
                        await trio.sleep_forever()
                    continue
                failures = 0
                self._accepted += 1
                connections.start_soon(self._serve_contained, stream)

    async def _free_descriptors(self, listener: Listener, *, again: bool) -> None:
        """Close the oldest connections without an authenticated client.

        If that does not help, accept by the spare descriptor those that wait, and close them.

        :param again: whether accepting has failed before.
        """
        if self._admission.unauthenticated.evict_oldest(_CLOSED_AT_ONCE) or not again:
            return
        with self._spare.lent():
            try:
                while True:
                    await trio.aclose_forcefully(await listener.accept())
                    self._refused += 1
            except OSError:
                self._accept_failures += 1  # another task has taken the descriptor

    async def _serve_contained(self, stream: trio.abc.HalfCloseableStream) -> None:
        """Serve one connection; its exceptions end only this connection."""
        self._connections += 1
        try:
            await self._serve(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("a connection broke")
        except* Exception:
            self._failures += 1
            logger.exception("a connection failed")
        finally:
            self._connections -= 1
            await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.abc.HalfCloseableStream) -> None:
        peer = peer_address(stream)
        try:
            admitted = self._admission.admit(peer)
        except ConnectionLimitReached as full:
            await self._refuse(stream, peer, _TOO_MANY_OF_ADDRESS if full.of_address else _TOO_MANY)
            return
        with admitted:
            if isinstance(stream, TlsStream):
                await self._work.turn(self._counted_for(peer))
            await self._route(stream, admitted)

    async def _route(
        self, stream: trio.abc.HalfCloseableStream, admitted: AdmittedConnection
    ) -> None:
        if not await self._open(stream):
            return
        data = await self._read_head(stream)
        if data is None:
            self._bad_heads += 1
            return
        length = head_length(data) or 0
        try:
            request = parse_request(data[:length])
        except BadRequest as bad:
            logger.debug("a request is refused: %s", bad)
            self._bad_heads += 1
            await self._respond(stream, refusal_of_head(bad.status), data)
            return
        await self._work.turn(self._counted_for(peer_address(stream), request))
        handler = self._handler(request)
        if handler is not None:
            admitted.busy()  # what the handler makes of it counts instead
            kept = await handler(stream, request, data[length:])
            if kept is not None:
                self._detached.add(kept, admitted.detach())
        else:
            await self._fall_back(stream, data, admitted)

    async def _refuse(
        self, stream: trio.abc.HalfCloseableStream, peer: str | None, response: HttpResponse
    ) -> None:
        self._refused += 1
        if self._refusing == _MAX_REFUSING:
            return
        self._refusing += 1
        try:
            await self._work.turn(self._counted_for(peer))
            if await self._open(stream):
                await self._respond(stream, response, await self._read_head_part(stream))
        finally:
            self._refusing -= 1

    async def _read_head_part(self, stream: trio.abc.HalfCloseableStream) -> bytearray:
        """Read a head, or the part of it that comes within a second."""
        data = bytearray()
        with trio.move_on_after(_REFUSED_HEAD_TIMEOUT):
            while head_length(data) is None and len(data) <= self._head_limit:
                received = await stream.receive_some(_RECEIVE)
                if not received:
                    break
                data += received
        return data

    async def _respond(
        self, stream: trio.abc.HalfCloseableStream, response: HttpResponse, head: bytes | bytearray
    ) -> None:
        """Respond to a request whose head was read at least in part."""
        fields = self._cors.response_fields(origins_in(head))
        await send_response(stream, replace(response, headers=(*response.headers, *fields)))

    async def _open(self, stream: trio.abc.HalfCloseableStream) -> bool:
        """Do the TLS handshake, if there is one; return whether the connection can be used."""
        if not isinstance(stream, TlsStream):
            return True
        with trio.move_on_after(self._head_timeout):
            try:
                await stream.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                if getattr(error.__cause__, "reason", None) == "HTTP_REQUEST":
                    await _respond_without_tls(stream)
            else:
                return True
        self._failed_handshakes += 1
        return False

    async def _read_head(self, stream: trio.abc.HalfCloseableStream) -> bytes | None:
        """Read a request head and what comes with it; ``None`` if there will be none.

        Empty lines before it are skipped (RFC 9112 §2.2). What cannot become a head, or breaks
        off, is returned as it is.
        """
        data = bytearray()
        try:
            with trio.move_on_after(self._head_timeout):
                while True:
                    received = await stream.receive_some(_RECEIVE)
                    if not received:
                        return bytes(data) or None
                    searched = len(data)
                    data += received if data else received.lstrip(b"\r\n")
                    if data and data[0] < LOWEST:
                        return bytes(data)
                    length = head_length(data, searched)
                    if (length or len(data)) > self._head_limit:
                        await self._respond(stream, refusal_of_head(431), data)
                        return None
                    if length is not None:
                        return bytes(data)
            if data:
                await self._respond(stream, _TOO_SLOW, data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has disconnected
        return None

    def _handler(self, request: Request) -> UpgradeHandler | None:
        if not request.is_websocket_upgrade:
            return None
        path = request.path
        return next(
            (handler for prefix, handler in self._upgrades if path.startswith(prefix)), None
        )

    async def _fall_back(
        self, stream: trio.abc.HalfCloseableStream, data: bytes, admitted: AdmittedConnection
    ) -> None:
        replay = HttpStream(
            stream,
            data,
            idle_timeout=self._http_idle_timeout,
            request_timeout=self._request_timeout,
            write_timeout=self._write_timeout,
            admitted=admitted,
            turn=partial(self._turn, peer_address(stream)),
        )
        self._http.add(replay)
        try:
            await self._fallback(replay)
        finally:
            self._http.discard(replay)

    async def _turn(self, peer: str | None, received: bytes | bytearray) -> None:
        """Wait until the HTTP server may handle received bytes, maybe those of a request."""
        request = None
        if self._trusted_proxies.trusts(peer) and (length := head_length(received)):
            with suppress(BadRequest):  # the HTTP server will refuse it
                request = parse_request(received[:length])
        await self._work.turn(self._counted_for(peer, request))

    def _counted_for(self, peer: str | None, request: Request | None = None) -> str | None:
        """Return whose turn it is: an address, behind a trusted proxy that of the client."""
        forwarded = None if request is None else request.header("x-forwarded-for")
        if forwarded is not None and self._trusted_proxies.trusts(peer):
            fields = {"x-forwarded-for": forwarded}
            peer = self._trusted_proxies.resolve(peer, secure=False, headers=fields).address
        return None if peer is None else counted_as(peer)


async def _respond_without_tls(stream: TlsStream) -> None:
    """Respond to a request that came without TLS."""
    below = stream.transport_stream
    if isinstance(below, trio.abc.HalfCloseableStream):
        await send_response(below, _NO_TLS)
