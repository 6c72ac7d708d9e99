"""Which rooms clients are in: joins, leaves and resumed sessions, and the roles that these need."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from functools import partial
from typing import Final

from gbs_actor.auth import Authorizer, User
from gbs_actor.contract.payloads import JoinRequest, LeaveRequest
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Done, Snapshot
from gbs_actor.store.protocol import SessionLocation, StoreError

logger = logging.getLogger(__name__)

NO_READER: Final = Failure.because(Code.FORBIDDEN, "You may not read this retreat.")


class Joining:
    """Puts clients into rooms, and takes them out."""

    def __init__(self, rooms: RoomSupervisor, clients: Clients, authorizer: Authorizer) -> None:
        self._rooms = rooms
        self._clients = clients
        self._authorizer = authorizer
        self.joins = 0
        """Joins that succeeded, repeated ones included."""

    def join_nowait(self, client: Client, request: JoinRequest, invocation: Invocation) -> bool:
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
            reply=partial(self._reply, client, request, invocation, role),
        )

    async def join(self, client: Client, request: JoinRequest, invocation: Invocation) -> None:
        """Join a retreat, and leave the former one.

        Cancelled, the join is taken back, unless it was carried out already.

        :raises StoreUnavailable: the role in the retreat cannot be looked up, or the session's room
            cannot be recorded.
        """
        role = await self.reader_role(client, request.slug)
        if isinstance(role, Failure):
            invocation.reply(role)
            return
        session, subscriber = client.session, client.subscriber
        reply = partial(self._reply, client, request, invocation, role)
        moving = nullcontext() if session is None else session.moving(request.slug, subscriber)
        async with moving:
            await self._rooms.join(
                request.slug, subscriber, since=request.since, epoch=request.epoch, reply=reply
            )
        # The room may have taken long to load, and the role may have changed meanwhile.
        current_role = await self._role(client.user, request.slug)
        if subscriber.room_slug == request.slug:
            self._clients.set_role(client, current_role)

    def leave(self, client: Client, request: LeaveRequest, invocation: Invocation) -> None:
        """Leave a retreat, if that is the one the client is in."""
        if client.subscriber.room_slug != request.slug:
            invocation.reply(Done(client.revision))
            return

        def reply(outcome: Done | Rejection) -> None:
            if isinstance(outcome, Done) and client.subscriber.room_slug is None:
                client.role = client.user.role
            invocation.reply(outcome)

        self._rooms.leave(client.subscriber, reply)

    async def leave_recoverably(
        self, client: Client, request: LeaveRequest, invocation: Invocation
    ) -> None:
        """Leave a retreat, so that the session is not resumed there.

        :raises StoreUnavailable: that cannot be recorded; the client stays in it.
        """
        if client.session is not None:
            await client.session.leave(request.slug)
        self.leave(client, request, invocation)

    async def resume(self, client: Client, location: SessionLocation, since: int) -> bool:
        """Put a client into the room that its session is in, and send the rows it missed.

        Cancelled, it may be in the room; call :meth:`Clients.disconnected` then.

        :param since: revision from which on the client may have missed something.
        :returns: whether the session was resumed; ``False`` if the user may not read there.
        """
        try:
            role = await self.reader_role(client, location.slug)
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

    async def reader_role(self, client: Client, slug: str) -> str | Failure:
        """Return the client's role in a retreat, or why it may not read there.

        :raises StoreUnavailable: the role cannot be looked up.
        """
        role = await self._role(client.user, slug)
        return role if self._authorizer.policy.may_read(role) else NO_READER

    async def _role(self, user: User, slug: str) -> str:
        """Return the user's role in a retreat; a checkpoint only if it has to be looked up.

        :raises StoreUnavailable: it cannot be.
        """
        role = self._authorizer.cached_role(user, slug)
        return await self._authorizer.role_for(user, slug) if role is None else role

    def _reply(
        self,
        client: Client,
        request: JoinRequest,
        invocation: Invocation,
        role: str,
        outcome: Snapshot | Rejection,
    ) -> None:
        if isinstance(outcome, Snapshot):
            self.joins += 1
            client.role = role
            if client.session is not None:
                client.session.joined(request.slug, outcome, client.subscriber)
        invocation.reply(outcome)
