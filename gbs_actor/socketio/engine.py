"""An Engine.IO v4 server: sessions over long-polling and WebSocket, and the way between.

What is said over a session is not its business: see
:class:`~gbs_actor.socketio.connection.Application`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import msgspec
import trio

from gbs_actor.socketio.channel import Channel, Transport, run_channel
from gbs_actor.socketio.close_code import check_close_code
from gbs_actor.socketio.connection import Application, Connection
from gbs_actor.socketio.cors import CorsPolicy, is_preflight
from gbs_actor.socketio.errors import ProtocolViolation
from gbs_actor.socketio.handshake import (
    BAD_REQUEST,
    FORBIDDEN,
    UNKNOWN_SESSION,
    UNKNOWN_TRANSPORT,
    Handshake,
    HandshakeError,
    check_query,
    check_version,
    join_fields,
    open_handshake,
    parse_cookies,
    parse_query,
)
from gbs_actor.socketio.http_answer import HttpAnswer, send_answer
from gbs_actor.socketio.options import ServerOptions
from gbs_actor.socketio.origin import OriginPolicy
from gbs_actor.socketio.peer import is_secure, peer_address
from gbs_actor.socketio.polling import Overlap, PollingTransport
from gbs_actor.socketio.probe import Probe, UpgradeTransport
from gbs_actor.socketio.request import Request
from gbs_actor.socketio.timers import Timers
from gbs_actor.socketio.trusted_proxies import TrustedProxies
from gbs_actor.socketio.websocket import Traffic, WebSocketTransport, upgrade

logger = logging.getLogger(__name__)

_OVERLOADED: Final = HandshakeError(3, "Try again later")
_TOO_MANY_FROM_ADDRESS: Final = HandshakeError(3, "Too many connections from this address")
_TEXT: Final = "text/plain; charset=UTF-8"
_UNCACHED: Final = (("Cache-Control", "no-store"),)


class BodyTooLarge(Exception):
    """A request's body has more bytes than it may have."""


class ClientGone(Exception):
    """The client has ended its connection before its request was complete."""


ReadBody = Callable[[int], Awaitable[bytes]]
"""Reads a request's body of so many bytes at most.

It raises :exc:`BodyTooLarge` or :exc:`ClientGone`.
"""


class Refusal(Exception):
    """Why a request goes no further.

    :param status: HTTP status.
    """

    def __init__(self, status: int, error: HandshakeError) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error

    @classmethod
    def of(cls, error: HandshakeError) -> Refusal:
        """Return a refusal with the status that belongs to the error."""
        return cls(error.status, error)


@dataclass(frozen=True, slots=True)
class Admission:
    """A WebSocket that may be opened: for a session of its own, or for an upgrade."""

    handshake: Handshake
    session: Connection | None
    """The polling session that is to move to it."""


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """What a server can tell of itself; counters since it was made."""

    connections: int
    """Open now."""
    polling: int
    """Of these, carried by long-polling."""
    sockets: Mapping[str, int]
    """Connected now, per namespace."""
    handshakes: int
    """Connections that were opened."""
    upgrades: int
    """Of these, moved from long-polling to a WebSocket."""
    refused: int
    """Requests that were answered with an HTTP error."""
    received_messages: int
    received_bytes: int
    sent_messages: int
    sent_bytes: int
    closes: Mapping[str, int]
    """Connections that have ended, per reason."""


class EngineServer:
    """Serves Engine.IO sessions.

    Run it by :meth:`serving`. Inside, hand WebSocket upgrades on own streams to
    :meth:`serve_websocket`; for everything else there is
    :class:`~gbs_actor.socketio.asgi.EngineApp`.

    :param make_application: given a new connection, returns what speaks over it.
    """

    def __init__(
        self, options: ServerOptions, make_application: Callable[[Connection], Application]
    ) -> None:
        self.options = options
        self.trusted_proxies = TrustedProxies(options.trusted_proxies)
        self._make_application = make_application
        self._origins = OriginPolicy(options.allowed_origins, options.cookie_names)
        self._cors = CorsPolicy.of(options.allowed_origins, ("GET", "POST"), options.cors_headers)
        self._timers = Timers()
        self._sessions: dict[str, Connection] = {}
        self._channels: dict[Channel, trio.CancelScope] = {}
        self._per_address: Counter[str | None] = Counter()
        self._admitted = 0
        self._open = 0  # tasks at work, those that refuse somebody included
        self._all_closed = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._serving = False
        self._handshakes = self._upgrades = self._refused = 0
        self.received = Traffic()
        """What has come in; transports count here."""
        self._sent_messages = self._sent_bytes = 0
        self._closes: Counter[str] = Counter()

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

    async def shutdown(self, code: int = 1001) -> None:
        """Close every transport and wait until they are gone; accept no new ones.

        What is left after ``close_timeout`` and twice ``disconnect_timeout`` is cut off.
        Cancelled, the connections go on closing. May be called more than once.

        :param code: WebSocket close code: 1001, or 1012 if the server comes back.
        :raises ValueError: a code that must not be sent.
        """
        check_close_code(code)
        self._serving = False
        for channel in list(self._channels):
            channel.end("server shutting down", code, "server shutting down")
        goodbyes = 2 * self.options.disconnect_timeout
        with trio.move_on_after(self.options.close_timeout + goodbyes):
            await self._wait_closed()
        for scope in self._channels.values():
            scope.cancel()
        with trio.move_on_after(goodbyes):
            await self._wait_closed()

    async def _wait_closed(self) -> None:
        if self._all_closed.is_set():
            self._all_closed = trio.Event()
        if self._open:
            await self._all_closed.wait()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Let :meth:`shutdown` wait for what runs in the block."""
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
        :param leftover: what was read behind it.
        """
        with self._at_work():
            try:
                await self._serve_websocket(stream, request, leftover)
            except Refusal as refusal:
                answer = self.refused_with(refusal)
                await send_answer(stream, answer.status, answer.body)
            finally:
                await trio.aclose_forcefully(stream)

    async def _serve_websocket(
        self, stream: trio.abc.HalfCloseableStream, request: Request, leftover: bytes
    ) -> None:
        secure = is_secure(stream)
        with self.admitted(request, peer_address(stream), secure=secure) as admission:
            options = self.options
            upgraded = upgrade(request, max_payload=options.max_payload, deflate=options.deflate)
            if not upgraded.accepted:
                raise Refusal(upgraded.response.status_code, BAD_REQUEST)
            with trio.move_on_after(options.close_timeout) as patience:
                await stream.send_all(upgraded.response.serialize())
            if patience.cancelled_caught or not self._serving:
                return  # the stream is closed by our caller, and the client comes back
            await self.carry(
                WebSocketTransport(stream, upgraded, leftover, self.received), admission
            )

    @contextmanager
    def admitted(self, request: Request, peer: str | None, *, secure: bool) -> Iterator[Admission]:
        """Check a WebSocket's request, and keep a place for it within the block.

        :param peer: IP address of the other end; ``None`` where it has none.
        :param secure: whether it uses TLS.
        :raises Refusal: it must not be opened.
        """
        query, handshake = self._check(request, peer, secure=secure, upgrade=True)
        with self._at_work():
            if "sid" in query:
                yield Admission(handshake, self._session(query, "websocket"))
                return
            address = handshake.remote_address
            self._take_place(address)
            try:
                yield Admission(handshake, None)
            finally:
                self._leave_place(address)

    async def carry(self, transport: UpgradeTransport, admission: Admission) -> None:
        """Carry a WebSocket until it has ended.

        Cancelled, stop writing; handlers of the end run nevertheless.

        :param transport: ready for the first message.
        """
        session = admission.session
        if session is None:
            self._handshakes += 1

        def make(_: Transport, nursery: trio.Nursery) -> Channel:
            if session is None:
                return self._connection(transport, nursery, admission.handshake)
            return Probe(
                transport,
                nursery,
                session=session,
                timers=self._timers,
                timeout=self.options.upgrade_timeout,
                on_upgrade=self._note_upgrade,
            )

        await self._run(make, transport)

    # Long-polling

    async def serve_http(
        self, request: Request, read_body: ReadBody, peer: str | None, *, secure: bool
    ) -> HttpAnswer:
        """Answer one request of a client that polls, or that tries to.

        Cancelled, as the client has gone: a GET that waits ends its session.

        :param peer: IP address of the other end; ``None`` where it has none.
        :param secure: whether it uses TLS.
        :raises ClientGone: the client has gone.
        """
        origins = [value for name, value in request.fields if name == "origin"]
        if is_preflight(request.method, request.header("access-control-request-method")):
            return HttpAnswer(204, b"", headers=tuple(self._cors.preflight_fields(origins)))
        with self._at_work():
            try:
                query, handshake = self._check(request, peer, secure=secure, upgrade=False)
                answer = await self._poll(request.method, query, handshake, read_body)
            except Refusal as refusal:
                answer = self.refused_with(refusal)
        return replace(answer, headers=(*answer.headers, *self._cors.answer_fields(origins)))

    async def _poll(
        self, method: str, query: Mapping[str, str], handshake: Handshake, read_body: ReadBody
    ) -> HttpAnswer:
        if "sid" not in query:
            return await self._open_session(handshake)
        session = self._session(query, "polling")
        assert isinstance(session.transport, PollingTransport)
        if method == "GET":
            return await self._get(session, session.transport)
        if method == "POST":
            return await self._post(session, session.transport, read_body)
        raise Refusal.of(BAD_REQUEST)

    async def _open_session(self, handshake: Handshake) -> HttpAnswer:
        self._take_place(handshake.remote_address)
        assert self._nursery is not None
        session: Connection = await self._nursery.start(self._live, handshake)
        assert isinstance(session.transport, PollingTransport)
        return await self._get(session, session.transport)

    async def _live(
        self, handshake: Handshake, *, task_status: trio.TaskStatus[Connection]
    ) -> None:
        """Own a session that begins with polling, wherever it moves to."""
        connection: Connection | None = None

        def make(transport: Transport, nursery: trio.Nursery) -> Connection:
            nonlocal connection
            connection = self._connection(transport, nursery, handshake)
            connection.closed = trio.Event()
            task_status.started(connection)
            return connection

        self._handshakes += 1
        try:
            with self._at_work():
                await self._run(make, PollingTransport(self.options.max_payload))
        finally:
            self._leave_place(handshake.remote_address)
            if connection is not None and connection.closed is not None:
                connection.closed.set()

    async def _get(self, session: Connection, transport: PollingTransport) -> HttpAnswer:
        try:
            payload = await transport.get(session)
        except Overlap:
            raise Refusal.of(BAD_REQUEST) from None
        return HttpAnswer(200, payload, _TEXT, _UNCACHED)

    async def _post(
        self, session: Connection, transport: PollingTransport, read_body: ReadBody
    ) -> HttpAnswer:
        try:
            with transport.posting(session):
                with trio.move_on_after(self.options.body_timeout) as patience:
                    body = await read_body(self.options.max_payload)
                if patience.cancelled_caught:
                    session.lose("transport error")
                    raise Refusal(HTTPStatus.REQUEST_TIMEOUT, BAD_REQUEST)
                self.received.bytes += len(body)
                self.received.messages += 1
                await transport.post(session, body)
        except (Overlap, ProtocolViolation):
            raise Refusal.of(BAD_REQUEST) from None
        except BodyTooLarge:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BAD_REQUEST) from None
        except ClientGone:
            session.lose("transport error")
            raise
        return HttpAnswer(200, b"ok", _TEXT, _UNCACHED)

    # Checks

    def _check(
        self, request: Request, peer: str | None, *, secure: bool, upgrade: bool
    ) -> tuple[dict[str, str], Handshake]:
        try:
            query = parse_query(request.query)
        except ValueError:
            raise Refusal.of(BAD_REQUEST) from None
        if "sid" not in query and (error := check_query(request.method, query, upgrade=upgrade)):
            raise Refusal.of(error)
        headers = join_fields(request.fields)
        caller = self.trusted_proxies.caller(peer, secure=secure, headers=headers)
        cookies = parse_cookies(headers.get("cookie", ""))
        if self._origins.refuses(headers.get("origin"), caller.host, cookies):
            raise Refusal.of(FORBIDDEN)
        return query, open_handshake(headers, query, caller)

    def _session(self, query: Mapping[str, str], transport: str) -> Connection:
        """Return the polling session that a request names, by one of its transports."""
        if query.get("transport") not in {"polling", "websocket"}:
            raise Refusal.of(UNKNOWN_TRANSPORT)
        session = self._sessions.get(query["sid"])
        if session is None or (session.reason is not None and session.outbox.flushed.is_set()):
            raise Refusal.of(UNKNOWN_SESSION)
        if query["transport"] != transport:
            raise Refusal.of(BAD_REQUEST)
        if transport == "polling" and not isinstance(session.transport, PollingTransport):
            raise Refusal.of(BAD_REQUEST)
        if error := check_version(query):
            raise Refusal.of(error)
        return session

    def _take_place(self, address: str | None) -> None:
        if not self._serving or self._admitted >= self.options.max_connections:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _OVERLOADED)
        if (
            address is not None
            and self._per_address[address] >= self.options.max_connections_per_address
        ):
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _TOO_MANY_FROM_ADDRESS)
        self._admitted += 1
        self._per_address[address] += 1

    def _leave_place(self, address: str | None) -> None:
        self._admitted -= 1
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def refused_with(self, refusal: Refusal) -> HttpAnswer:
        """Return the answer to a request that goes no further, and count it."""
        self._refused += 1
        logger.info("request refused: %d %s", refusal.status, refusal.error.message)
        headers = (*_UNCACHED, ("Retry-After", "1")) if refusal.status == 503 else _UNCACHED
        return HttpAnswer(refusal.status, msgspec.json.encode(refusal.error), headers=headers)

    # Running

    def _connection(
        self, transport: Transport, nursery: trio.Nursery, handshake: Handshake
    ) -> Connection:
        connection = Connection(
            transport,
            nursery,
            handshake=handshake,
            options=self.options,
            timers=self._timers,
            on_end=self._note_end,
            make_application=self._make_application,
        )
        self._sessions[connection.sid] = connection
        return connection

    async def _run(
        self, make: Callable[[Transport, trio.Nursery], Channel], transport: Transport
    ) -> None:
        channel: Channel | None = None

        def made(transport: Transport, nursery: trio.Nursery) -> Channel:
            nonlocal channel
            channel = make(transport, nursery)
            self._channels[channel] = scope
            return channel

        with trio.CancelScope() as scope:
            try:
                await run_channel(made, transport, self.options.close_timeout)
            finally:
                if channel is not None:
                    self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        del self._channels[channel]
        if isinstance(channel, Connection):
            del self._sessions[channel.sid]
            self._sent_messages += channel.outbox.sent_messages
            self._sent_bytes += channel.outbox.sent_bytes

    def _note_end(self, reason: str) -> None:
        self._closes[reason] += 1

    def _note_upgrade(self) -> None:
        self._upgrades += 1

    def statistics(self) -> ServerStatistics:
        """Return counters; reads all connections, so it is not for every message."""
        sessions = self._sessions.values()
        polling = sum(isinstance(session.transport, PollingTransport) for session in sessions)
        outboxes = [session.outbox for session in sessions]
        return ServerStatistics(
            connections=len(sessions),
            polling=polling,
            sockets={},
            handshakes=self._handshakes,
            upgrades=self._upgrades,
            refused=self._refused,
            received_messages=self.received.messages,
            received_bytes=self.received.bytes,
            sent_messages=self._sent_messages + sum(box.sent_messages for box in outboxes),
            sent_bytes=self._sent_bytes + sum(box.sent_bytes for box in outboxes),
            closes=dict(self._closes),
        )
