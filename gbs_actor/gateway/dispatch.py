"""Handles the events of clients, over any transport: one table of handlers.

Roles, rates and expired tokens are checked here. A command takes no task switch: it is decoded
and submitted to the room, whose loop replies. Nor does a join, as a rule. Where it has to wait,
for its room or for the store, the client's later events wait, too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import trio

from gbs_actor.auth import AuthError, Authorizer, Verifier
from gbs_actor.contract.command_spec import CommandSpec
from gbs_actor.contract.commands import COMMANDS
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.events import ClientEvent
from gbs_actor.contract.payloads import (
    AuthenticateRequest,
    GbsListRequest,
    JoinRequest,
    decode_authenticate,
    decode_editing,
    decode_gbs_list,
    decode_join,
    decode_leave,
)
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.command_router import FORBIDDEN, CommandRouter
from gbs_actor.gateway.event_rates import EventRates
from gbs_actor.gateway.expiry import EXPIRED
from gbs_actor.gateway.invocation import SHOWN_NAME_LENGTH, Invocation
from gbs_actor.gateway.joining import NO_READER, Joining
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.gateway.replies import Failure, ReadResult
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import GroupList, RoomSupervisor
from gbs_actor.rooms.delivery import NOT_IN_ROOM, Done
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import StoreError

logger = logging.getLogger(__name__)

RequestT = TypeVar("RequestT")

Handler = Callable[[Client, Invocation], Awaitable[None] | None]
"""Handles an event; returns what is left to await, if anything."""

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
    :param environment: where the ids of commands come from that clients give none.
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
        environment: Environment = SYSTEM,
    ) -> None:
        self._rooms = rooms
        self._clients = clients
        self._verifier = verifier
        self._authorizer = authorizer
        self._max_pending_commands = settings.socketio.max_unanswered_events
        self.rates = EventRates(settings.limits, rates, events)
        self.joining = Joining(rooms, clients, authorizer)
        self._router = CommandRouter(
            rooms,
            authorizer.policy,
            self.joining.reader_role,
            self._may_change,
            environment.uuid,
        )
        self._internal_errors = 0
        self.errors: Counter[str] = Counter()
        """Errors that events got, per code; counted by the invocations."""
        self._handlers: dict[str, Handler] = {
            ClientEvent.JOIN_RETREAT: self._join_retreat,
            ClientEvent.LEAVE_RETREAT: self._leave_retreat,
            ClientEvent.USER_EDITING: self._user_editing,
            ClientEvent.AUTHENTICATE: self._authenticate,
            ClientEvent.GBS_LIST: self._gbs_list,
            **{spec.event: partial(self._command, spec) for spec in COMMANDS},
        }

    def statistics(self) -> DispatchStatistics:
        """Return counters; never blocks."""
        return DispatchStatistics(
            self.rates.events,
            self.rates.refused,
            self._internal_errors,
            self.joining.joins,
            dict(self.errors),
        )

    # What transports call

    def handle(self, client: Client, invocation: Invocation) -> Awaitable[None] | None:
        """Handle one event; return what is left to await, if anything."""
        name = invocation.name
        if not self.rates.admit(client, invocation):
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
        if self.rates.admit(client, invocation):
            invocation.reply(Failure.because(Code.VALIDATION_FAILED, message))

    async def join(self, client: Client, request: JoinRequest, invocation: Invocation) -> None:
        """Join a retreat for a client that joins by connecting."""
        if self.rates.admit_join(client, invocation):
            await self._later(self.joining.join, client, request, invocation)

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
        if request.extra_events:
            self.rates.charge(client, request.extra_events)
        if client.subscriber.in_flight >= self._max_pending_commands:
            self.rates.refuse(client, invocation, _TOO_MANY_COMMANDS, "max_unanswered_events")
            return None
        if self._router.submit_nowait(client, request, invocation):
            return None
        return self._later(self._router.submit, client, request, invocation)

    def _user_editing(self, client: Client, invocation: Invocation) -> None:
        if not self._may_change(client, invocation):
            return
        request = decode_editing(invocation.argument())
        subscriber = client.subscriber
        if self.rates.marks.take(client.user.user_id, trio.current_time()):
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
            self.rates.refuse(client, invocation, _TOO_MANY_MARKS, "user_editing_rate")

    def _join_retreat(self, client: Client, invocation: Invocation) -> Awaitable[None] | None:
        request = decode_join(invocation.argument())
        if not invocation.wants_reply:
            # The rows are sent as `initial-data`, which always replaces the list.
            request = replace(request, since=None)
        if self.joining.join_nowait(client, request, invocation):
            return None
        return self._later(self.joining.join, client, request, invocation)

    def _leave_retreat(self, client: Client, invocation: Invocation) -> Awaitable[None] | None:
        request = decode_leave(invocation.argument())
        if client.session is not None:
            return self._later(self.joining.leave_recoverably, client, request, invocation)
        self.joining.leave(client, request, invocation)
        return None

    def _authenticate(self, client: Client, invocation: Invocation) -> Awaitable[None]:
        request = decode_authenticate(invocation.argument())
        return self._later(self._renew, client, request, invocation)

    def _gbs_list(self, client: Client, invocation: Invocation) -> Awaitable[None]:
        request = decode_gbs_list(invocation.argument())
        return self._later(self._list_groups, client, request, invocation)

    # What they do

    async def _list_groups(
        self, client: Client, request: GbsListRequest, invocation: Invocation
    ) -> None:
        """Reply with the groups of the client's room, or of the retreat that it names.

        :raises StoreError: they, or the role there, cannot be looked up.
        """
        inside = client.subscriber.room_slug
        slug = request.retreat_slug or inside
        if slug is None:
            invocation.reply(NOT_IN_ROOM)
            return
        if slug != inside and isinstance(await self.joining.reader_role(client, slug), Failure):
            invocation.reply(NOT_IN_ROOM)
            return
        groups = await self._rooms.groups(slug)
        if isinstance(groups, Rejection):
            unknown = groups.code is Code.RETREAT_NOT_FOUND
            invocation.reply(NOT_IN_ROOM if unknown else groups)
        else:
            json = msgspec.json.encode(GroupList(groups))
            invocation.reply(ReadResult(json, client.revision if slug == inside else None))

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
            invocation.reply(NO_READER)
            self._clients.set_role(client, role)
            return
        self._clients.renew(client, credentials, role)
        invocation.reply(Done(client.revision))

    # What they share

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
