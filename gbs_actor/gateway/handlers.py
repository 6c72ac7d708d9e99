"""What each event of a client does: one method an event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final

from gbs_actor.auth import Authorizer, AuthRefused, Verifier
from gbs_actor.contract.commands import CommandRequest
from gbs_actor.contract.payloads import (
    AuthenticateRequest,
    EditingRequest,
    JoinRequest,
    LeaveRequest,
)
from gbs_actor.gateway.answer import Answer, JoinAnswer
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.expiry import EXPIRED, ExpiryWatch
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot
from gbs_actor.store.protocol import SessionLocation

logger = logging.getLogger(__name__)

_FORBIDDEN: Final = Failure.because(Code.FORBIDDEN, "Your role may not do this.")
_OTHER_RETREAT: Final = Failure.because(Code.FORBIDDEN, "You may not enter this retreat.")


class Handlers:
    """Does what events ask for, and answers, now or later.

    :param watch: told of the tokens that ``authenticate`` brings.
    """

    def __init__(
        self,
        rooms: RoomSupervisor,
        verifier: Verifier,
        authorizer: Authorizer,
        watch: ExpiryWatch,
    ) -> None:
        self._rooms = rooms
        self._verifier = verifier
        self._authorizer = authorizer
        self._watch = watch

    def may_change(self, connection: Connection, answer: Answer) -> bool:
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

    def command(self, connection: Connection, request: CommandRequest, answer: Answer) -> None:
        """Give a mutation to the room, whose loop answers."""
        repeatable = request.command_id is not None

        def reply(outcome: Accepted | Rejection) -> None:
            if isinstance(outcome, Accepted):
                answer.accepted(outcome)
            else:
                answer.failed(Failure.of(outcome, repeatable=repeatable))

        self._rooms.submit(connection.subscriber, request.command(connection.author), reply)

    def mark_editing(self, connection: Connection, request: EditingRequest, answer: Answer) -> None:
        """Show the others where somebody edits (``user-editing``)."""
        self._rooms.mark_editing(
            connection.subscriber,
            request.registration_id,
            request.field,
            request.editing,
            _done(answer),
        )

    def leave(self, connection: Connection, request: LeaveRequest, answer: Answer) -> None:
        """Leave a retreat, if that is the one somebody is in (``leave-retreat``)."""
        if connection.subscriber.room_slug != request.slug:
            answer.done(Done(connection.revision))
            return
        reply = _done(answer)

        def left(outcome: Done | Rejection) -> None:
            if isinstance(outcome, Done) and connection.subscriber.room_slug is None:
                connection.role = connection.user.role
            reply(outcome)

        self._rooms.leave(connection.subscriber, left)

    async def leave_recoverably(
        self, connection: Connection, request: LeaveRequest, answer: Answer
    ) -> None:
        """Leave a retreat in a session that may be come back to, but not there."""
        if connection.session is not None:
            await connection.session.leave(request.slug)
        self.leave(connection, request, answer)

    async def join(self, connection: Connection, request: JoinRequest, answer: JoinAnswer) -> None:
        """Join a retreat, and thereby leave the one before (``join-retreat``).

        Cancelled, the join is taken back, unless it was carried out already.

        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        if not connection.user.may_enter(request.slug):
            answer.failed(_OTHER_RETREAT)
            return
        role = await self._authorizer.role_for(connection.user, request.slug)
        if not self._authorizer.policy.may_read(role):
            answer.failed(_FORBIDDEN)
            return

        session, subscriber = connection.session, connection.subscriber

        def reply(outcome: Snapshot | Rejection) -> None:
            if isinstance(outcome, Snapshot):
                connection.role = role
                if session is not None:
                    session.joined(request.slug, outcome, subscriber)
                answer.joined(outcome)
            else:
                answer.failed(Failure.of(outcome))

        moving = nullcontext() if session is None else session.moving(request.slug, subscriber)
        async with moving:
            await self._rooms.join(
                request.slug, subscriber, since=request.since, epoch=request.epoch, reply=reply
            )

    async def resume(self, connection: Connection, place: SessionLocation, since: int) -> bool:
        """Put a connection into the room that its session is in, and send what was missed.

        Cancelled, it may be there; it has to be disconnected then.

        :param since: revision from which on the client may have missed something.
        :returns: whether that could be done, and the user may be there.
        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        if not connection.user.may_enter(place.slug):
            return False
        role = await self._authorizer.role_for(connection.user, place.slug)
        if not self._authorizer.policy.may_read(role):
            return False
        outcome = await self._rooms.resume(
            place.slug, connection.subscriber, since=since, epoch=place.epoch
        )
        if isinstance(outcome, Rejection):
            logger.info("a session is not recovered: %s", outcome.message)
            return False
        connection.role = role
        return True

    async def authenticate(
        self, connection: Connection, request: AuthenticateRequest, answer: Answer
    ) -> None:
        """Take a new token of the same user (``authenticate``).

        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
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


def _done(answer: Answer) -> Callable[[Done | Rejection], None]:
    def reply(outcome: Done | Rejection) -> None:
        if isinstance(outcome, Done):
            answer.done(outcome)
        else:
            answer.failed(Failure.of(outcome))

    return reply
