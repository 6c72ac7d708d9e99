"""An Engine.IO v4 server: sessions over long-polling and WebSocket, and upgrades between them.

The :class:`~gbs_actor.socketio.engineio.session.Application` of a session handles its messages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import msgspec
import trio

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.socketio.channel.channel import Channel, Transport, UpgradeTransport
from gbs_actor.socketio.channel.handshake import Handshake
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.plane import Plane, open_plane
from gbs_actor.socketio.channel.server import UNCACHED, ChannelServer, ChannelStatistics
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.engineio.handshake import (
    BAD_REQUEST,
    FORBIDDEN,
    UNKNOWN_SESSION,
    UNKNOWN_TRANSPORT,
    HandshakeError,
    check_query,
    check_version,
    refused,
)
from gbs_actor.socketio.engineio.polling import OverlappingRequests, PollingTransport
from gbs_actor.socketio.engineio.session import Application, Session
from gbs_actor.socketio.engineio.upgrade import Probe
from gbs_actor.socketio.net.connection_limit import ConnectionLimit, ConnectionLimitReached
from gbs_actor.socketio.net.cors import CorsPolicy, is_preflight
from gbs_actor.socketio.net.http_exchange import BodyTooLarge, ClientGone, HttpExchange
from gbs_actor.socketio.net.http_response import HttpResponse, RequestRefused
from gbs_actor.socketio.net.request import Request
from gbs_actor.socketio.net.unauthenticated import Unauthenticated
from gbs_actor.socketio.websocket.close_code import ProtocolViolation
from gbs_actor.socketio.websocket.subprotocol import offered_subprotocols

logger = logging.getLogger(__name__)

_OVERLOADED: Final = HandshakeError(3, "Try again later")
_TOO_MANY_FROM_ADDRESS: Final = HandshakeError(3, "Too many connections from this address")
_TEXT: Final = "text/plain; charset=UTF-8"


@dataclass(slots=True)
class AcceptedClient:
    """A client that may open a session, or upgrade one."""

    handshake: Handshake
    session: Session | None
    """The polling session that is to move to it."""
    unauthenticated: Unauthenticated | None
    """What it counts as; ``None`` if its session has taken that over."""


class ServerStatistics(ChannelStatistics, frozen=True, kw_only=True, rename="camel"):
    """State of a server, and counters since it was made."""

    polling: int
    """Of the connections, carried by long-polling."""
    sockets: Mapping[str, int]
    """Connected now, per namespace."""
    upgrades: int
    """Of the handshakes, moved from long-polling to a WebSocket."""


class EngineServer(ChannelServer[AcceptedClient]):
    """Serves Engine.IO sessions.

    Run it by :meth:`serving`. Inside, pass WebSocket upgrades on own streams to
    :meth:`serve_websocket`; for everything else use
    :class:`~gbs_actor.socketio.engineio.asgi.EngineApp`.

    :param make_application: returns what handles the messages of a new session.
    """

    def __init__(
        self,
        options: ServerOptions,
        make_application: Callable[[Session], Application],
        connection_limit: ConnectionLimit | None = None,
        *,
        environment: Environment = SYSTEM,
        plane: Callable[[], Plane | None] = open_plane,
    ) -> None:
        super().__init__(
            options, connection_limit=connection_limit, environment=environment, plane=plane
        )
        self._make_application = make_application
        self._cors = CorsPolicy.of(options.allowed_origins, ("GET", "POST"), options.cors_headers)
        self._sid_prefix = "" if options.node is None else f"{options.node}."
        self._sessions: dict[str, Session] = {}
        self._upgrades = 0
        self._polling = 0

    @property
    def path(self) -> str:
        """See :class:`ChannelServer`."""
        return self.options.socketio_path

    # WebSocket

    def accept(self, request: Request, peer: str | None, *, secure: bool) -> AcceptedClient:
        """See :class:`ChannelServer`."""
        handshake = self._check(request, peer, secure=secure, upgrade=True)
        session = None
        if "sid" in handshake.query:
            session = self._session(handshake.query, "websocket")
        return self._count(handshake, connection=True, of=session)

    def subprotocols(self, accepted: AcceptedClient) -> Sequence[str]:
        """Return the one that the client prefers, as the reference server does.

        A client that offers some fails if none is selected (RFC 6455 §4.1).
        """
        return offered_subprotocols(accepted.handshake.headers)[:1]

    def make_channel(
        self, transport: UpgradeTransport, tasks: ChannelTasks, accepted: AcceptedClient
    ) -> Channel:
        """See :class:`ChannelServer`."""
        if accepted.session is None:
            return self._make_session(transport, tasks, accepted)
        probe = Probe(
            transport,
            tasks,
            session=accepted.session,
            timers=self._timers,
            timeout=self.options.upgrade_timeout,
            on_end=self._probe_ended,
            on_upgrade=self._upgraded,
        )
        assert accepted.unauthenticated is not None
        accepted.unauthenticated.on_eviction(probe.abort)
        return probe

    def _upgraded(self, probe: Probe) -> None:
        self._upgrades += 1
        self._polling -= 1
        self.channels.remove(probe)  # the session counts, and has its place
        self.session_upgraded(probe.session)

    def _probe_ended(self, probe: Channel, _reason: str) -> None:
        self.channels.end_later(probe)

    # Long-polling

    async def serve_http(self, exchange: HttpExchange) -> HttpResponse:
        """Respond to one long-polling request.

        Cancelled, or if the client has disconnected, a waiting GET ends its session.

        :raises ClientGone: the client has disconnected.
        """
        request = exchange.request
        origins = [value for name, value in request.fields if name == "origin"]
        if is_preflight(request.method, request.header("access-control-request-method")):
            return HttpResponse(204, b"", headers=tuple(self._cors.preflight_fields(origins)))
        with self.counted_as_open():
            try:
                response = await self._poll(exchange)
            except RequestRefused as refusal:
                response = self.refusal_response(refusal, request, exchange.peer)
        fields = self._cors.response_fields(origins)
        return replace(response, headers=(*response.headers, *fields)) if fields else response

    async def _poll(self, exchange: HttpExchange) -> HttpResponse:
        request, peer = exchange.request, exchange.peer
        handshake = self._check(request, peer, secure=exchange.secure, upgrade=False)
        if "sid" not in handshake.query:
            return await self._open_session(handshake, exchange)
        method = request.method
        session = self._session(handshake.query, "polling", ended=method == "GET")
        assert isinstance(session.transport, PollingTransport)
        if method == "GET":
            return await self._get(session, session.transport, exchange)
        if method == "POST":
            return await self._post(session, session.transport, exchange)
        raise refused(BAD_REQUEST)

    async def _open_session(self, handshake: Handshake, exchange: HttpExchange) -> HttpResponse:
        options = self.options
        accepted = self._count(handshake, connection=False)
        transport = PollingTransport(
            options.max_payload, options.max_poll_packets, self.read_rate()
        )
        try:
            session = self._make_session(
                transport, self.channels.new_tasks(copy_context()), accepted
            )
        except BaseException:
            self.release(accepted)
            raise
        self.channels.open(session, accepted)
        return await self._get(session, transport, exchange, opening=True)

    async def _get(
        self,
        session: Session,
        transport: PollingTransport,
        exchange: HttpExchange,
        *,
        opening: bool = False,
    ) -> HttpResponse:
        try:
            payload = await transport.get(session, exchange, opening=opening)
        except OverlappingRequests:
            raise refused(BAD_REQUEST) from None
        return HttpResponse(200, payload, _TEXT, UNCACHED)

    async def _post(
        self, session: Session, transport: PollingTransport, exchange: HttpExchange
    ) -> HttpResponse:
        try:
            with transport.posting(session):
                with trio.move_on_after(self.options.request_timeout) as in_time:
                    body = await exchange.read_body(self.options.max_payload)
                if in_time.cancelled_caught:
                    _lose(session, transport)
                    raise RequestRefused(HTTPStatus.REQUEST_TIMEOUT, BAD_REQUEST)
                self.received.bytes += len(body)
                self.received.messages += 1
                await transport.post(session, body)
        except (OverlappingRequests, ProtocolViolation):
            raise refused(BAD_REQUEST) from None
        except BodyTooLarge:
            raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BAD_REQUEST) from None
        except ClientGone:
            _lose(session, transport)
            raise
        return HttpResponse(200, b"ok", _TEXT, UNCACHED)

    # Checks

    def _check(
        self, request: Request, peer: str | None, *, secure: bool, upgrade: bool
    ) -> Handshake:
        handshake = self._handshake(request, peer, secure=secure)
        query, method = handshake.query, request.method
        if "sid" not in query and (error := check_query(method, query, upgrade=upgrade)):
            raise refused(error)
        origin = handshake.headers.get("origin")
        if self._origins.refuses(origin, handshake.own_origin, handshake.cookies):
            raise refused(FORBIDDEN)
        return handshake

    def _session(self, query: Mapping[str, str], transport: str, *, ended: bool = False) -> Session:
        """Return the polling session that a request names, by one of its transports.

        :param ended: whether it may have ended, if its last packets have not been fetched.
        """
        if query.get("transport") not in {"polling", "websocket"}:
            raise refused(UNKNOWN_TRANSPORT)
        session = self._sessions.get(query["sid"])
        if session is None:
            raise refused(UNKNOWN_SESSION)
        if session.reason is not None and (not ended or session.outbox.flushed.is_set()):
            raise refused(UNKNOWN_SESSION)
        if query["transport"] != transport:
            raise refused(BAD_REQUEST)
        if transport == "polling" and not isinstance(session.transport, PollingTransport):
            raise refused(BAD_REQUEST)
        if error := check_version(query):
            raise refused(error)
        return session

    def _check_serving(self) -> None:
        if not self._serving:
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, _OVERLOADED)

    def _count(
        self, handshake: Handshake, *, connection: bool, of: Session | None = None
    ) -> AcceptedClient:
        """Count a client until :meth:`release`, as unauthenticated until its session is accepted.

        :param connection: whether it holds a connection.
        :param of: its session, which is counted already.
        :raises RequestRefused: there is no room, or the server is shutting down.
        """
        self._check_serving()
        address = handshake.remote_address
        try:
            unauthenticated = self.unauthenticated.acquire(address, connection=connection)
            try:
                if of is None:
                    self.connection_limit.acquire(address)
            except ConnectionLimitReached:
                unauthenticated.release()
                raise
        except ConnectionLimitReached as full:
            error = _TOO_MANY_FROM_ADDRESS if full.of_address else _OVERLOADED
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, error) from None
        return AcceptedClient(handshake, of, unauthenticated)

    def release(self, accepted: AcceptedClient) -> None:
        """See :class:`ChannelServer`."""
        if accepted.unauthenticated is not None:
            accepted.unauthenticated.release()
        if accepted.session is None:
            self.connection_limit.release(accepted.handshake.remote_address)

    def bad_request(self, status: int) -> RequestRefused:
        """See :class:`ChannelServer`."""
        return RequestRefused(status, BAD_REQUEST)

    # Running

    def _make_session(
        self, transport: Transport, tasks: ChannelTasks, accepted: AcceptedClient
    ) -> Session:
        session = Session(
            transport,
            tasks,
            sid=self._sid_prefix + self.environment.token(15),
            handshake=accepted.handshake,
            options=self.options,
            wheel=self._wheel,
            on_end=self._session_ended,
            make_application=self._make_application,
        )
        self._handshakes += 1
        self._polling += _polls(session)
        self._sessions[session.sid] = session
        unauthenticated, accepted.unauthenticated = accepted.unauthenticated, None
        assert unauthenticated is not None
        session.count_as(unauthenticated)
        self.session_opened(session)
        return session

    def _session_ended(self, session: Channel, reason: str) -> None:
        self.channels.ended(session, reason)
        assert isinstance(session, Session)
        self.session_ended(session, reason)

    # For subclasses; none may block or raise.

    def session_opened(self, session: Session) -> None:
        """Called with each new session, before its first packet is sent."""

    def session_upgraded(self, session: Session) -> None:
        """Called when a session has moved from polling to a WebSocket."""

    def session_ended(self, session: Session, reason: str) -> None:
        """Called when a session has ended, behind :meth:`.Application.ended`."""

    def _removed(self, channel: Channel, accepted: AcceptedClient) -> None:
        """See :class:`ChannelServer`."""
        super()._removed(channel, accepted)
        if isinstance(channel, Session):
            del self._sessions[channel.sid]
            self._polling -= _polls(channel)
            channel.release()

    def statistics(self) -> ServerStatistics:
        """Return counters; reads all connections, so do not call it for every message."""
        counted = super().statistics()
        counters = msgspec.structs.asdict(counted) | {
            "connections": len(self._sessions),
            "plane": counted.plane,
        }
        return ServerStatistics(
            **counters, polling=self._polling, sockets={}, upgrades=self._upgrades
        )


def _polls(session: Session) -> bool:
    return isinstance(session.transport, PollingTransport)


def _lose(session: Session, transport: PollingTransport) -> None:
    """Drop a session whose request broke off, unless it has moved to a WebSocket since."""
    if session.transport is transport:
        session.lose("transport error")
