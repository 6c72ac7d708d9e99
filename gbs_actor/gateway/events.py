"""From an event of a client to its answer, whatever protocol brings it.

Mutations take no task switch: decoded, handed to the room, answered by the room's loop.
Joining and authenticating may have to wait for the store; the connection's later events
wait behind them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import trio

from gbs_actor.auth import (
    Authorizer,
    AuthRefused,
    Credentials,
    TokenSource,
    Verifier,
    auth_required,
    find_token,
    forbidden,
)
from gbs_actor.gateway.answer import SHOWN_NAME_LENGTH, Answer, EventAnswer, JoinAnswer
from gbs_actor.gateway.config import GatewayConfig
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.expiry import ExpiryWatch
from gbs_actor.gateway.handlers import Handlers
from gbs_actor.gateway.payloads import (
    COMMAND_DECODERS,
    CommandRequest,
    InvalidPayload,
    JoinRequest,
    decode_authenticate,
    decode_editing,
    decode_join,
    decode_leave,
)
from gbs_actor.gateway.peer import ClientEvent, Peer
from gbs_actor.gateway.rate_limit import TokenBucket
from gbs_actor.gateway.replies import Failure
from gbs_actor.gateway.user_connections import UserConnections
from gbs_actor.gateway.user_rates import UserRates
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.socketio import Handshake
from gbs_actor.store.protocol import SessionLocation, StoreError

Asked = TypeVar("Asked")
Answered = TypeVar("Answered", bound=JoinAnswer)

FoundToken = tuple[str, TokenSource]

logger = logging.getLogger(__name__)

_EDITING: Final = "user-editing"
_RATE_LIMITED: Final = Failure.because(Code.RATE_LIMITED, "Too many events; slow down.")
_TOO_MANY_MARKS: Final = Failure.because(
    Code.RATE_LIMITED, "Too many editing marks; the last one has ended."
)
_TOO_MANY_COMMANDS: Final = Failure.because(
    Code.RATE_LIMITED, "Too many commands without an answer; wait for some."
)
_STORE_UNAVAILABLE: Final = Failure.because(
    Code.STORE_UNAVAILABLE, "The database cannot be reached; try again shortly."
)
_INTERNAL: Final = Failure.because(Code.INTERNAL, "Something went wrong on the server.")


@dataclass(frozen=True, slots=True)
class LineupStatistics:
    """The realtime connections at one moment. Counters run since the start."""

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


class TooManyConnections(Exception):
    """The user has as many connections as they may."""


class LineupEvents:
    """Serves the events of all realtime connections.

    Whoever brings a connection calls :meth:`find_token`, :meth:`authenticate`,
    :meth:`connect`, then
    :meth:`handle` for each event in the order of arrival, the next one once the last is
    done, and :meth:`disconnected` at the end.

    :param rates: how often users may speak, shared with their other ways in.
    :param user_connections: how many connections users have.
    """

    def __init__(
        self,
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
        self._editing_rates = UserRates(config.user_editing_rate, config.user_editing_burst)
        self._user_connections = user_connections
        self._watch = ExpiryWatch(verifier.now)
        self._handlers = Handlers(rooms, verifier, authorizer, self._watch)
        self._connections: set[Connection] = set()
        self._events = self._refused_by_rate = self._internal_errors = 0
        self._refused_connections = 0

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

    def find_token(self, payload: object, handshake: Handshake) -> FoundToken | None:
        """Return the token that decides about a client, and where it was found.

        :param payload: what the client itself says, and not its browser: ``{"token": …}``.
        """
        cookie_name = self._config.cookie_name
        return find_token(payload, handshake.headers, handshake.cookies, cookie_name)

    def authenticate(self, found: FoundToken | None) -> Credentials:
        """Return whose token this is.

        :raises AuthRefused: nobody's that may read.
        """
        try:
            if found is None:
                raise auth_required()
            user = self._verifier.verify(*found)
            if not self._authorizer.policy.may_read(user.role):
                raise forbidden()
        except AuthRefused as refused:
            if refused.reason:
                logger.info("refused a connection: %s (%.200r)", refused.message, refused.reason)
            raise
        return Credentials(user, self._config.cookie_grace)

    def connect(self, peer: Peer, credentials: Credentials) -> Connection:
        """Let a client in.

        :raises TooManyConnections: its user has as many as they may.
        """
        if not self._user_connections.enter(credentials.user.user_id):
            self._refused_connections += 1
            raise TooManyConnections
        config = self._config
        bucket = TokenBucket(config.event_rate, config.event_burst, trio.current_time())
        connection = Connection(peer, credentials, bucket)
        self._connections.add(connection)
        self._watch.watch(connection)
        return connection

    def disconnected(self, connection: Connection) -> None:
        """Note that a connection has ended; what it asked for before is still carried out."""
        self._connections.discard(connection)
        self._user_connections.leave(connection.user.user_id)
        self._watch.forget(connection)
        self._rooms.disconnect(connection.subscriber)

    # Events

    def handle(self, connection: Connection, event: ClientEvent) -> Awaitable[None] | None:
        """Handle one event; what cannot be done at once is returned as an awaitable."""
        answer = EventAnswer(connection.peer, event)
        if not self._may_speak(connection, answer):
            if event.name == _EDITING:
                self._rooms.reject_mark(connection.subscriber)
            return None
        try:
            return self._dispatch(connection, event, answer)
        except InvalidPayload as invalid:
            answer.failed(Failure.because(Code.VALIDATION_FAILED, invalid.message))
        except Exception:
            logger.exception("handling %.100s raised", event.name)
            self._internal(answer)
        return None

    def reject(self, connection: Connection, event: ClientEvent, message: str) -> None:
        """Answer what is no event at all; it counts as one of those that a client may send.

        :param message: one sentence for the person who wrote the client.
        """
        answer = EventAnswer(connection.peer, event)
        if self._may_speak(connection, answer):
            answer.failed(Failure.because(Code.VALIDATION_FAILED, message))

    async def join(self, connection: Connection, request: JoinRequest, answer: JoinAnswer) -> None:
        """Join a retreat for a connection that did not have to ask for it by an event."""
        await self._later(self._handlers.join, connection, request, answer)

    async def resume(self, connection: Connection, place: SessionLocation, since: int) -> bool:
        """Put a connection into the room that its session is in, and send what was missed.

        Cancelled, it may be there; call :meth:`disconnected` then.

        :param since: revision from which on the client may have missed something.
        :returns: whether that could be done.
        """
        try:
            return await self._handlers.resume(connection, place, since)
        except StoreError as error:
            logger.info("a session is not recovered: %s", error)
            return False

    def _may_speak(self, connection: Connection, answer: Answer) -> bool:
        self._events += 1
        now = trio.current_time()
        if connection.bucket.take(now) and self._rates.take(connection.user.user_id, now):
            return True
        self._refused_by_rate += 1
        answer.failed(_RATE_LIMITED)
        return False

    def _dispatch(
        self, connection: Connection, event: ClientEvent, answer: Answer
    ) -> Awaitable[None] | None:
        handlers, name = self._handlers, event.name
        if (decode := COMMAND_DECODERS.get(name)) is not None:
            self._command(connection, event, answer, decode)
        elif name == _EDITING:
            self._mark_editing(connection, event, answer)
        elif name == "leave-retreat":
            leaving = decode_leave(event.argument())
            if connection.session is not None:
                return self._later(handlers.leave_recoverably, connection, leaving, answer)
            handlers.leave(connection, leaving, answer)
        elif name == "join-retreat":
            joining = decode_join(event.argument())
            if not event.wants_answer:
                # The rows go out as `initial-data`, which always replaces the list.
                joining = replace(joining, since=None)
            return self._later(handlers.join, connection, joining, answer)
        elif name == "authenticate":
            renewal = decode_authenticate(event.argument())
            return self._later(handlers.authenticate, connection, renewal, answer)
        else:
            raise InvalidPayload("", f"There is no event {name[:SHOWN_NAME_LENGTH]!r}.")
        return None

    def _command(
        self,
        connection: Connection,
        event: ClientEvent,
        answer: Answer,
        decode: Callable[[bytes], CommandRequest],
    ) -> None:
        if not self._handlers.may_change(connection, answer):
            return
        if connection.subscriber.in_flight >= self._config.commands_under_way:
            self._refused_by_rate += 1
            answer.failed(_TOO_MANY_COMMANDS)
            return
        self._handlers.command(connection, decode(event.argument()), answer)

    def _mark_editing(self, connection: Connection, event: ClientEvent, answer: Answer) -> None:
        if not self._handlers.may_change(connection, answer):
            return
        request = decode_editing(event.argument())
        if self._editing_rates.take(connection.user.user_id, trio.current_time()):
            self._handlers.mark_editing(connection, request, answer)
        else:
            # No mark is shown rather than one at a place that the client has left.
            self._rooms.reject_mark(connection.subscriber)
            self._refused_by_rate += 1
            answer.failed(_TOO_MANY_MARKS)

    async def _later(
        self,
        handle: Callable[[Connection, Asked, Answered], Awaitable[None]],
        connection: Connection,
        request: Asked,
        answer: Answered,
    ) -> None:
        """Do what may have to wait, and answer for it where it raises."""
        try:
            await handle(connection, request, answer)
        except StoreError:
            answer.failed(_STORE_UNAVAILABLE)
        except Exception:
            logger.exception("handling %s raised", type(request).__name__)
            self._internal(answer)

    def _internal(self, answer: JoinAnswer) -> None:
        self._internal_errors += 1
        if not answer.given:
            answer.failed(_INTERNAL)
