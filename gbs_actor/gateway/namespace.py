"""The Socket.IO namespace ``/gbs-lineup``: from an event to its answer.

Mutations take no task switch: decoded, handed to the room, answered by the room's loop.
Joining and authenticating may have to wait for the store; the connection's later events
wait behind them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio

from gbs_actor.auth import (
    Authorizer,
    AuthRefused,
    Credentials,
    Verifier,
    auth_required,
    find_token,
    forbidden,
)
from gbs_actor.gateway.answer import SHOWN_NAME_LENGTH, Answer
from gbs_actor.gateway.config import GatewayConfig
from gbs_actor.gateway.connection import Connection, author_of
from gbs_actor.gateway.expiry import EXPIRED, ExpiryWatch
from gbs_actor.gateway.format import SocketIOFormat
from gbs_actor.gateway.payloads import (
    COMMAND_DECODERS,
    CommandRequest,
    InvalidPayload,
    decode_authenticate,
    decode_editing,
    decode_join,
    decode_leave,
)
from gbs_actor.gateway.rate_limit import TokenBucket
from gbs_actor.gateway.replies import Failure
from gbs_actor.gateway.sink import SocketSink
from gbs_actor.gateway.user_connections import UserConnections
from gbs_actor.gateway.user_rates import UserRates
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomSupervisor, Subscriber
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot
from gbs_actor.socketio import ConnectRefused, Event, Namespace, Socket
from gbs_actor.store.protocol import StoreError

NAMESPACE: Final = "/gbs-lineup"
TRY_AGAIN_LATER: Final = 1013
"""WebSocket close code (registry of RFC 6455 §7.4): clients come back with backoff."""

logger = logging.getLogger(__name__)

_RATE_LIMITED: Final = Failure.because(Code.RATE_LIMITED, "Too many events; slow down.")
_TOO_MANY_COMMANDS: Final = Failure.because(
    Code.RATE_LIMITED, "Too many commands without an answer; wait for some."
)
_FORBIDDEN: Final = Failure.because(Code.FORBIDDEN, "Your role may not do this.")
_OTHER_RETREAT: Final = Failure.because(Code.FORBIDDEN, "You may not enter this retreat.")
_STORE_UNAVAILABLE: Final = Failure.because(
    Code.STORE_UNAVAILABLE, "The database cannot be reached; try again shortly."
)
_INTERNAL: Final = Failure.because(Code.INTERNAL, "Something went wrong on the server.")


@dataclass(frozen=True, slots=True)
class LineupStatistics:
    """The namespace at one moment. Counters run since its start."""

    connections: int
    expiring: int
    """Connections with a token that will expire."""
    events: int
    refused_by_rate: int
    """Events answered with RATE_LIMITED."""
    refused_connections: int
    """Connections of users who had as many as they may."""
    internal_errors: int
    """Events whose handling raised; each is in the log."""


class LineupNamespace:
    """Serves ``/gbs-lineup`` of one Socket.IO server.

    :param namespace: registered on the server by the caller; this object puts its
        handlers on it and is the only one who does.
    :param rates: how often users may speak, shared with their other ways in.
    :param user_connections: how many connections users have, shared likewise.
    """

    def __init__(
        self,
        namespace: Namespace,
        rooms: RoomSupervisor,
        verifier: Verifier,
        authorizer: Authorizer,
        config: GatewayConfig,
        *,
        rates: UserRates,
        user_connections: UserConnections,
    ) -> None:
        self._rooms = rooms
        self._verifier = verifier
        self._authorizer = authorizer
        self._config = config
        self._rates = rates
        self._user_connections = user_connections
        self._format = SocketIOFormat(namespace.name)
        self._watch = ExpiryWatch(namespace.name, verifier.now)
        self._connections: dict[str, Connection] = {}
        self._events = self._refused_by_rate = self._internal_errors = 0
        self._refused_connections = 0
        namespace.on_connect(self._connect)
        namespace.on_any(self._event)
        namespace.on_disconnect(self._disconnected)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch over the connections' tokens while the block runs."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch.run)
            yield
            nursery.cancel_scope.cancel()

    def statistics(self) -> LineupStatistics:
        """Return counters; never blocks."""
        return LineupStatistics(
            connections=len(self._connections),
            expiring=len(self._watch),
            events=self._events,
            refused_by_rate=self._refused_by_rate,
            refused_connections=self._refused_connections,
            internal_errors=self._internal_errors,
        )

    # Coming and going

    def _connect(self, socket: Socket, auth: Any) -> None:
        if socket.closed:
            return  # it would not be let in, so nobody would tell us of its end either
        try:
            credentials = self._authenticate_handshake(socket, auth)
        except AuthRefused as refused:
            if refused.reason:
                logger.info("refused a connection: %s (%s)", refused.message, refused.reason)
            raise ConnectRefused(refused.message, {"code": refused.code}) from None
        if not self._user_connections.enter(credentials.user.user_id):
            # No CONNECT_ERROR: that would be final, and one of the others may end.
            self._refused_connections += 1
            socket.close_transport(TRY_AGAIN_LATER, "too many connections of this user")
            return
        author = author_of(credentials.user)
        connection = Connection(
            socket,
            Subscriber(SocketSink(socket, self._format), author),
            credentials,
            TokenBucket(self._config.event_rate, self._config.event_burst, trio.current_time()),
        )
        self._connections[socket.id] = connection
        self._watch.watch(connection)

    def _authenticate_handshake(self, socket: Socket, auth: Any) -> Credentials:
        found = find_token(
            auth, socket.handshake.headers, socket.handshake.cookies, self._config.cookie_name
        )
        if found is None:
            raise auth_required()
        user = self._verifier.verify(*found)
        if not self._authorizer.policy.may_read(user.role):
            raise forbidden()
        return Credentials(user, self._config.cookie_grace)

    def _disconnected(self, socket: Socket, reason: str) -> None:
        connection = self._connections.pop(socket.id, None)
        if connection is None:
            return  # it was refused
        self._user_connections.leave(connection.user.user_id)
        self._watch.forget(connection)
        self._rooms.disconnect(connection.subscriber)

    # Events

    def _event(self, socket: Socket, event: Event) -> Awaitable[None] | None:
        """Handle one event; what cannot be done at once is returned as an awaitable."""
        connection = self._connections[socket.id]
        answer = Answer(socket, event)
        self._events += 1
        try:
            if not self._may_speak(connection):
                self._refused_by_rate += 1
                answer.failed(_RATE_LIMITED)
                return None
            return self._dispatch(connection, event, answer)
        except InvalidPayload as invalid:
            answer.failed(Failure.because(Code.VALIDATION_FAILED, invalid.message))
        except Exception:
            logger.exception("handling %.100s raised", event.name)
            self._internal(answer)
        return None

    def _may_speak(self, connection: Connection) -> bool:
        now = trio.current_time()
        return connection.bucket.take(now) and self._rates.take(connection.user.user_id, now)

    def _dispatch(
        self, connection: Connection, event: Event, answer: Answer
    ) -> Awaitable[None] | None:
        name = event.name
        if (decode := COMMAND_DECODERS.get(name)) is not None:
            self._command(connection, event, answer, decode)
        elif name == "user-editing":
            self._mark_editing(connection, event, answer)
        elif name == "leave-retreat":
            self._leave(connection, event, answer)
        elif name == "join-retreat":
            return self._in_turn(self._join, connection, event, answer)
        elif name == "authenticate":
            return self._in_turn(self._authenticate, connection, event, answer)
        else:
            shown = name[:SHOWN_NAME_LENGTH]
            raise InvalidPayload("", f"There is no event {shown!r}.")
        return None

    async def _in_turn(
        self,
        handle: Callable[[Connection, Event, Answer], Awaitable[None]],
        connection: Connection,
        event: Event,
        answer: Answer,
    ) -> None:
        try:
            await handle(connection, event, answer)
        except InvalidPayload as invalid:
            answer.failed(Failure.because(Code.VALIDATION_FAILED, invalid.message))
        except StoreError:
            answer.failed(_STORE_UNAVAILABLE)
        except Exception:
            logger.exception("handling %.100s raised", event.name)
            self._internal(answer)

    def _internal(self, answer: Answer) -> None:
        self._internal_errors += 1
        if not answer.given:
            answer.failed(_INTERNAL)

    def _may_change(self, connection: Connection, answer: Answer) -> bool:
        """Answer the refusal of somebody who may not change anything; before any shape.

        Outside a room nobody is forbidden: a grant of the retreat may say otherwise.
        """
        in_room = connection.subscriber.room_slug is not None
        if in_room and not self._authorizer.policy.may_edit(connection.role):
            answer.failed(_FORBIDDEN)
        elif connection.credentials.expired(self._verifier.now()):
            answer.failed(EXPIRED)
        else:
            return True
        return False

    def _command(
        self,
        connection: Connection,
        event: Event,
        answer: Answer,
        decode: Callable[[bytes], CommandRequest],
    ) -> None:
        if not self._may_change(connection, answer):
            return
        if connection.subscriber.under_way >= self._config.commands_under_way:
            self._refused_by_rate += 1
            answer.failed(_TOO_MANY_COMMANDS)
            return
        request = decode(_argument(event))
        repeatable = request.command_id is not None

        def reply(outcome: Accepted | Rejection) -> None:
            if isinstance(outcome, Accepted):
                answer.accepted(outcome)
            else:
                answer.failed(Failure.of(outcome, repeatable=repeatable))

        self._rooms.submit(connection.subscriber, request.command(connection.author), reply)

    def _mark_editing(self, connection: Connection, event: Event, answer: Answer) -> None:
        if not self._may_change(connection, answer):
            return
        request = decode_editing(_argument(event))
        self._rooms.mark_editing(
            connection.subscriber,
            request.registration_id,
            request.field,
            request.editing,
            _done(answer),
        )

    def _leave(self, connection: Connection, event: Event, answer: Answer) -> None:
        request = decode_leave(_argument(event))
        if connection.subscriber.room_slug != request.slug:
            answer.done(Done(connection.revision))
            return
        reply = _done(answer)

        def left(outcome: Done | Rejection) -> None:
            if isinstance(outcome, Done) and connection.subscriber.room_slug is None:
                connection.role = connection.user.role
            reply(outcome)

        self._rooms.leave(connection.subscriber, left)

    async def _join(self, connection: Connection, event: Event, answer: Answer) -> None:
        request = decode_join(_argument(event))
        if not connection.user.may_enter(request.slug):
            answer.failed(_OTHER_RETREAT)
            return
        role = await self._authorizer.role_for(connection.user, request.slug)
        if not self._authorizer.policy.may_read(role):
            answer.failed(_FORBIDDEN)
            return

        def reply(outcome: Snapshot | Rejection) -> None:
            if isinstance(outcome, Snapshot):
                connection.role = role
                answer.joined(outcome)
            else:
                answer.failed(Failure.of(outcome))

        await self._rooms.join(
            request.slug,
            connection.subscriber,
            # Without an ack the rows go out as `initial-data`, which always replaces the list.
            since=request.since if event.wants_ack else None,
            epoch=request.epoch,
            reply=reply,
        )

    async def _authenticate(self, connection: Connection, event: Event, answer: Answer) -> None:
        request = decode_authenticate(_argument(event))
        try:
            user = self._verifier.verify(request.token)
            credentials = connection.credentials.renewed(user)
        except AuthRefused as refused:
            answer.failed(Failure(refused.code, refused.message))
            return
        slug = connection.subscriber.room_slug
        if slug is not None and not user.may_enter(slug):
            answer.failed(_OTHER_RETREAT)
            return
        role = user.role if slug is None else await self._authorizer.role_for(user, slug)
        if not self._authorizer.policy.may_read(role):
            answer.failed(_FORBIDDEN)
            return
        connection.authenticated(credentials, role)
        self._watch.watch(connection)
        answer.done(Done(connection.revision))


def _argument(event: Event) -> bytes:
    """Return the raw JSON of the event's first argument; further ones are ignored."""
    if event.args_error is not None:
        raise InvalidPayload("", f"The payload cannot be read: {event.args_error}.")
    if not event.raw:
        raise InvalidPayload("", f"{event.name} takes an argument.")
    return event.raw[0]


def _done(answer: Answer) -> Callable[[Done | Rejection], None]:
    def reply(outcome: Done | Rejection) -> None:
        if isinstance(outcome, Done):
            answer.done(outcome)
        else:
            answer.failed(Failure.of(outcome))

    return reply
