"""Handles the events of clients, over any transport: one table of handlers.

Roles, rates and expired tokens are checked here. A command takes no task switch: it is decoded
and submitted to the room, whose loop replies. Nor does a join, as a rule. Where it has to wait,
for its room or for the store, the client's later events wait, too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, TypeVar

import msgspec
import trio

from gbs_actor.auth import AuthError, Authorizer, User, Verifier
from gbs_actor.contract.commands import COMMANDS, CommandSpec
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.events import ClientEvent
from gbs_actor.contract.payloads import (
    AuthenticateRequest,
    JoinRequest,
    LeaveRequest,
    decode_authenticate,
    decode_editing,
    decode_join,
    decode_leave,
)
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.command_router import FORBIDDEN, CommandRouter
from gbs_actor.gateway.expiry import EXPIRED
from gbs_actor.gateway.invocation import SHOWN_NAME_LENGTH, Invocation
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Done, Snapshot
from gbs_actor.settings import LimitSettings, Settings
from gbs_actor.store.protocol import SessionLocation, StoreError

logger = logging.getLogger(__name__)

RequestT = TypeVar("RequestT")

Handler = Callable[[Client, Invocation], Awaitable[None] | None]
"""Handles an event; returns what is left to await, if anything."""

_JOIN_RETREAT: Final[str] = ClientEvent.JOIN_RETREAT.value
_NO_READER: Final = Failure.because(Code.FORBIDDEN, "You may not read this retreat.")
_RATE_LIMITED: Final = Failure.because(Code.RATE_LIMITED, "Too many events; slow down.")
_TOO_MANY_MARKS: Final = Failure.because(
    Code.RATE_LIMITED, "Too many editing marks; the last one has ended."
)
_TOO_MANY_JOINS: Final = Failure.because(Code.RATE_LIMITED, "Too many joins; slow down.")
_TOO_MANY_COMMANDS: Final = Failure.because(
    Code.RATE_LIMITED, "Too many commands without an answer; wait for some."
)
_STORE_UNAVAILABLE: Final = Failure.because(
    Code.STORE_UNAVAILABLE, "The database cannot be reached; try again shortly."
)
_INTERNAL: Final = Failure.because(Code.INTERNAL, "Something went wrong on the server.")


class DispatchStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """The events of all clients. Counters run since the start."""

    events: int
    refused_by_rate: int
    """Events that got RATE_LIMITED."""
    internal_errors: int
    """Events whose handling raised; each is in the log."""
    joins: int
    """Joins that succeeded, repeated ones included."""
    errors: Mapping[str, int]
    """Events that got an error, per code."""


class Dispatch:
    """Handles the events of all clients.

    A transport calls :meth:`handle` for each event of a client in the order of arrival, one
    after the other is done.

    :param rates: how often users may send events, shared with their other transports.
    :param events: what operators are notified of.
    """

    def __init__(
        self,
        rooms: RoomSupervisor,
        clients: Clients,
        verifier: Verifier,
        authorizer: Authorizer,
        settings: Settings,
        *,
        rates: UserRateLimit,
        events: OperatorEvents,
    ) -> None:
        self._operator_events = events
        self._rooms = rooms
        self._clients = clients
        self._verifier = verifier
        self._authorizer = authorizer
        self._max_pending_commands = settings.socketio.max_unanswered_events
        self._rates = rates
        self._router = CommandRouter(rooms, authorizer.policy, self._reader_role, self._may_change)
        self._editing_rates = UserRateLimit(
            settings.limits.user_editing_rate, settings.limits.user_editing_burst
        )
        self._join_rates = UserRateLimit(
            settings.limits.user_join_rate, settings.limits.user_join_burst
        )
        self._events = self._refused_by_rate = self._internal_errors = self._joins = 0
        self.errors: Counter[str] = Counter()
        """Errors that events got, per code; counted by the invocations."""
        self._handlers: dict[str, Handler] = {
            ClientEvent.JOIN_RETREAT: self._join_retreat,
            ClientEvent.LEAVE_RETREAT: self._leave_retreat,
            ClientEvent.USER_EDITING: self._user_editing,
            ClientEvent.AUTHENTICATE: self._authenticate,
            **{spec.event: partial(self._command, spec) for spec in COMMANDS},
        }

    def change_limits(self, limits: LimitSettings) -> None:
        """Change the rates of users; see :meth:`.UserRateLimit.change`."""
        self._rates.change(limits.user_rate, limits.user_burst)
        self._editing_rates.change(limits.user_editing_rate, limits.user_editing_burst)
        self._join_rates.change(limits.user_join_rate, limits.user_join_burst)

    def statistics(self) -> DispatchStatistics:
        """Return counters; never blocks."""
        return DispatchStatistics(
            self._events,
            self._refused_by_rate,
            self._internal_errors,
            self._joins,
            dict(self.errors),
        )

    # What transports call

    def handle(self, client: Client, invocation: Invocation) -> Awaitable[None] | None:
        """Handle one event; return what is left to await, if anything."""
        name = invocation.name
        if not self._within_rate(client, invocation):
            if name == ClientEvent.USER_EDITING:
                self._rooms.reject_mark(client.subscriber)
            return None
        try:
            return self._handlers.get(name, _unknown)(client, invocation)
        except InvalidPayload as invalid:
            invocation.reply(Failure.because(Code.VALIDATION_FAILED, invalid.message))
        except Exception:
            logger.exception("handling %.100s raised", name, extra=_log_fields(client, invocation))
            self._failed_internally(invocation)
        return None

    def reject(self, client: Client, invocation: Invocation, message: str) -> None:
        """Reply to a frame that is no event; it counts against the rate limits.

        :param message: one sentence for the client's developer.
        """
        if self._within_rate(client, invocation):
            invocation.reply(Failure.because(Code.VALIDATION_FAILED, message))

    async def join(self, client: Client, request: JoinRequest, invocation: Invocation) -> None:
        """Join a retreat for a client that joins by connecting."""
        if self._within_join_rate(client, invocation):
            await self._later(self._join, client, request, invocation)

    async def resume(self, client: Client, location: SessionLocation, since: int) -> bool:
        """Put a client into the room that its session is in, and send the rows it missed.

        Cancelled, it may be in the room; call :meth:`Clients.disconnected` then.

        :param since: revision from which on the client may have missed something.
        :returns: whether the session was resumed; ``False`` if the user may not read there.
        """
        try:
            role = await self._reader_role(client, location.slug)
            if isinstance(role, Failure):
                return False
            outcome = await self._rooms.resume(
                location.slug, client.subscriber, since=since, epoch=location.epoch
            )
        except StoreError as error:
            logger.info("a session is not recovered: %s", error, extra=client.log_fields())
            return False
        if isinstance(outcome, Rejection):
            logger.info(
                "a session is not recovered: %s", outcome.message, extra=client.log_fields()
            )
            return False
        client.role = role
        return True

    # The handlers of the table

    def _command(
        self, spec: CommandSpec[Any], client: Client, invocation: Invocation
    ) -> Awaitable[None] | None:
        try:
            request = spec.decode(invocation.argument())
        except InvalidPayload:
            if self._may_change(client, invocation):
                raise
            return None
        if not self._may_change(client, invocation, request.retreat_slug):
            return None
        if client.subscriber.in_flight >= self._max_pending_commands:
            self._refuse(client, invocation, _TOO_MANY_COMMANDS, "max_unanswered_events")
            return None
        if self._router.submit_nowait(client, request, invocation):
            return None
        return self._later(self._router.submit, client, request, invocation)

    def _user_editing(self, client: Client, invocation: Invocation) -> None:
        if not self._may_change(client, invocation):
            return
        request = decode_editing(invocation.argument())
        subscriber = client.subscriber
        if self._editing_rates.take(client.user.user_id, trio.current_time()):
            self._rooms.mark_editing(
                subscriber,
                request.registration_id,
                request.field,
                request.editing,
                invocation.reply,
            )
        else:
            # Better no mark than one at a field that the client has left.
            self._rooms.reject_mark(subscriber)
            self._refuse(client, invocation, _TOO_MANY_MARKS, "user_editing_rate")

    def _join_retreat(self, client: Client, invocation: Invocation) -> Awaitable[None] | None:
        request = decode_join(invocation.argument())
        if not invocation.wants_reply:
            # The rows are sent as `initial-data`, which always replaces the list.
            request = replace(request, since=None)
        if self._join_nowait(client, request, invocation):
            return None
        return self._later(self._join, client, request, invocation)

    def _leave_retreat(self, client: Client, invocation: Invocation) -> Awaitable[None] | None:
        request = decode_leave(invocation.argument())
        if client.session is not None:
            return self._later(self._leave_recoverably, client, request, invocation)
        self._leave(client, request, invocation)
        return None

    def _authenticate(self, client: Client, invocation: Invocation) -> Awaitable[None]:
        request = decode_authenticate(invocation.argument())
        return self._later(self._renew, client, request, invocation)

    # What they do

    def _join_nowait(self, client: Client, request: JoinRequest, invocation: Invocation) -> bool:
        """Join a retreat if neither the client's role nor its room has to be waited for.

        :returns: ``False``: one has to; nothing was done.
        """
        role = self._authorizer.cached_role(client.user, request.slug)
        if role is None or client.session is not None or not self._authorizer.policy.may_read(role):
            return False
        return self._rooms.join_nowait(
            request.slug,
            client.subscriber,
            since=request.since,
            epoch=request.epoch,
            reply=partial(self._reply_to_join, client, request, invocation, role),
        )

    async def _join(self, client: Client, request: JoinRequest, invocation: Invocation) -> None:
        """Join a retreat, and leave the former one.

        Cancelled, the join is taken back, unless it was carried out already.

        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        role = await self._reader_role(client, request.slug)
        if isinstance(role, Failure):
            invocation.reply(role)
            return
        session, subscriber = client.session, client.subscriber
        reply = partial(self._reply_to_join, client, request, invocation, role)
        moving = nullcontext() if session is None else session.moving(request.slug, subscriber)
        async with moving:
            await self._rooms.join(
                request.slug, subscriber, since=request.since, epoch=request.epoch, reply=reply
            )
        # The room may have taken long to load, and the role may have changed meanwhile.
        current_role = await self._role(client.user, request.slug)
        if subscriber.room_slug == request.slug:
            self._clients.set_role(client, current_role)

    def _reply_to_join(
        self,
        client: Client,
        request: JoinRequest,
        invocation: Invocation,
        role: str,
        outcome: Snapshot | Rejection,
    ) -> None:
        if isinstance(outcome, Snapshot):
            self._joins += 1
            client.role = role
            if client.session is not None:
                client.session.joined(request.slug, outcome, client.subscriber)
        invocation.reply(outcome)

    def _leave(self, client: Client, request: LeaveRequest, invocation: Invocation) -> None:
        """Leave a retreat, if that is the one the client is in."""
        if client.subscriber.room_slug != request.slug:
            invocation.reply(Done(client.revision))
            return

        def reply(outcome: Done | Rejection) -> None:
            if isinstance(outcome, Done) and client.subscriber.room_slug is None:
                client.role = client.user.role
            invocation.reply(outcome)

        self._rooms.leave(client.subscriber, reply)

    async def _leave_recoverably(
        self, client: Client, request: LeaveRequest, invocation: Invocation
    ) -> None:
        """Leave a retreat, so that the session is not resumed there."""
        if client.session is not None:
            await client.session.leave(request.slug)
        self._leave(client, request, invocation)

    async def _renew(
        self, client: Client, request: AuthenticateRequest, invocation: Invocation
    ) -> None:
        """Accept a new token of the same user; who may not read with it is disconnected.

        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        try:
            user = self._verifier.verify(request.token)
            credentials = client.credentials.renewed(user)
        except AuthError as refused:
            invocation.reply(Failure(refused.code, refused.message))
            return
        slug = client.subscriber.room_slug
        role = user.role if slug is None else await self._authorizer.role_for(user, slug)
        if not self._authorizer.policy.may_read(role):
            invocation.reply(_NO_READER)
            self._clients.set_role(client, role)
            return
        self._clients.renew(client, credentials, role)
        invocation.reply(Done(client.revision))

    # What they share

    def _within_rate(self, client: Client, invocation: Invocation) -> bool:
        """Count an event; if it exceeds a rate, refuse it and return ``False``.

        Joins have a rate of their own: each is answered with a list, and the one behind many
        edits that were typed offline must not be refused for them.
        """
        self._events += 1
        client.events += 1
        if invocation.name == _JOIN_RETREAT:
            return self._within_join_rate(client, invocation)
        now = trio.current_time()
        if not client.bucket.take(now):
            limit = "event_rate"
        elif not self._rates.take(client.author.user_id, now):
            limit = "user_rate"
        else:
            return True
        return self._refuse(client, invocation, _RATE_LIMITED, limit)

    def _within_join_rate(self, client: Client, invocation: Invocation) -> bool:
        now = trio.current_time()
        if not client.join_bucket.take(now):
            limit = "join_rate"
        elif not self._join_rates.take(client.author.user_id, now):
            limit = "user_join_rate"
        else:
            return True
        return self._refuse(client, invocation, _TOO_MANY_JOINS, limit)

    def _refuse(
        self, client: Client, invocation: Invocation, refusal: Failure, limit: str
    ) -> Literal[False]:
        """Refuse an event that exceeds a rate or a bound.

        :param limit: its setting.
        """
        self._refused_by_rate += 1
        self._operator_events.publish(
            "limit.hit",
            f"user {client.author.user_id} exceeds {limit}",
            severity="warning",
            **client.log_fields(),
            limit=limit,
        )
        invocation.reply(refusal)
        return False

    def _may_change(self, client: Client, invocation: Invocation, slug: str | None = None) -> bool:
        """Return whether a client may edit in its room, else refuse.

        Outside a room no role is refused: a grant in the retreat may allow it.

        :param slug: the retreat in which it wants to; ``None``: that of the room.
        """
        room_slug = None if client.subscriber.leaving else client.subscriber.room_slug
        in_room = room_slug is not None and slug in (None, room_slug)
        if in_room and not self._authorizer.policy.may_edit(client.role):
            invocation.reply(FORBIDDEN)
        elif client.credentials.expired(self._verifier.now()):
            invocation.reply(EXPIRED)
        else:
            return True
        return False

    async def _reader_role(self, client: Client, slug: str) -> str | Failure:
        """Return the client's role in a retreat, or why it may not read there.

        :raises StoreUnavailable: the role cannot be looked up.
        """
        role = await self._role(client.user, slug)
        return role if self._authorizer.policy.may_read(role) else _NO_READER

    async def _role(self, user: User, slug: str) -> str:
        """Return the user's role in a retreat; a checkpoint only if it has to be looked up.

        :raises StoreUnavailable: it cannot be.
        """
        role = self._authorizer.cached_role(user, slug)
        return await self._authorizer.role_for(user, slug) if role is None else role

    async def _later(
        self,
        handle: Callable[[Client, RequestT, Invocation], Awaitable[None]],
        client: Client,
        request: RequestT,
        invocation: Invocation,
    ) -> None:
        """Run a handler that may wait; if it raises, reply with an error."""
        try:
            await handle(client, request, invocation)
        except StoreError as error:
            logger.info(
                "handling %.100s failed: %s",
                invocation.name,
                error,
                extra=_log_fields(client, invocation),
            )
            if not invocation.replied:
                invocation.reply(_STORE_UNAVAILABLE)
        except Exception:
            logger.exception(
                "handling %.100s raised", invocation.name, extra=_log_fields(client, invocation)
            )
            self._failed_internally(invocation)

    def _failed_internally(self, invocation: Invocation) -> None:
        self._internal_errors += 1
        if not invocation.replied:
            invocation.reply(_INTERNAL)


def _log_fields(client: Client, invocation: Invocation) -> dict[str, object]:
    return {**client.log_fields(), "command_id": invocation.command_id()}


def _unknown(_client: Client, invocation: Invocation) -> None:
    raise InvalidPayload("", f"There is no event {invocation.name[:SHOWN_NAME_LENGTH]!r}.")
