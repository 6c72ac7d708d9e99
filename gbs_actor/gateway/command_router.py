"""Submits each command of a client to the room of the retreat it belongs to.

That is the room that the client is in, unless it is in none or the command names another
retreat. Clients that were away send what was edited meanwhile, and repeat what nobody
acknowledged, before they join again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from uuid import UUID

from gbs_actor.auth import Policy
from gbs_actor.contract.command_spec import CommandRequest
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Command
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import NOT_IN_ROOM, Accepted

FORBIDDEN: Final = Failure.because(Code.FORBIDDEN, "Your role may not do this.")

ReaderRole = Callable[[Client, str], Awaitable[str | Failure]]
"""Returns a client's role in a retreat, or why it may not read there."""
MayChange = Callable[[Client, Invocation, str | None], bool]
"""Whether a client may edit in its room, or try elsewhere; replies if not."""


class CommandRouter:
    """Submits commands, in the order in which their clients sent them.

    :param reader_role: raises :exc:`~gbs_actor.store.protocol.StoreUnavailable` if it cannot
        look the role up.
    :param new_id: returns a random id, for a command whose client gives none.
    :param may_change: called again once a command has waited: for its retreat, or ``None``.
    """

    def __init__(
        self,
        rooms: RoomSupervisor,
        policy: Policy,
        reader_role: ReaderRole,
        may_change: MayChange,
        new_id: Callable[[], UUID],
    ) -> None:
        self._rooms = rooms
        self._policy = policy
        self._reader_role = reader_role
        self._may_change = may_change
        self._new_id = new_id

    def submit_nowait(
        self, client: Client, request: CommandRequest, invocation: Invocation
    ) -> bool:
        """Submit a command to the room the client is in, where its role was checked.

        :returns: ``False``: it may belong to another room or has to wait; nothing was done.
        """
        subscriber = client.subscriber
        slug, named = subscriber.room_slug, request.retreat_slug
        if slug is None or subscriber.leaving or subscriber.waits_elsewhere(slug):
            return False
        if named is None and request.command_id is not None:
            # A row that is not here may be of a retreat in which the command was accepted.
            if not self._rooms.holds_target(subscriber, request.action):
                return False
        elif named not in (None, slug):
            return False
        self._submit_inside(client, request, invocation)
        return True

    async def submit(self, client: Client, request: CommandRequest, invocation: Invocation) -> None:
        """Submit a command to the room it belongs to; the client stays where it is.

        Commands in flight in another room get their replies first; rights are checked behind
        that. Returns once it is submitted: its reply is not awaited, so that commands in a row
        share a commit. Cancelled before, it is not carried out.

        :raises StoreUnavailable: the retreat, or the role there, cannot be looked up.
        """
        subscriber = client.subscriber
        await subscriber.wait_left()
        inside, named = subscriber.room_slug, request.retreat_slug
        slug = named or await self._rooms.find_slug(request.action)
        if slug is not None and slug != inside:
            await subscriber.wait_replied_elsewhere(slug)
            role = await self._reader_role(client, slug)
            if not isinstance(role, Failure):
                if self._may_change(client, invocation, named):
                    only_repeat = inside is not None and named is None
                    if only_repeat or self._policy.may_edit(role):
                        by_operator = self._policy.is_operator(role)
                        command = request.command(
                            client.author,
                            self._new_id,
                            outside_room=True,
                            by_operator=by_operator,
                        )
                        self._submit_outside(slug, client, command, invocation, only_repeat)
                    else:
                        invocation.reply(FORBIDDEN)
                return
            if named is not None:
                invocation.reply(NOT_IN_ROOM)
                return
        # The room rejects what is not in it. Outside a room nothing is left to try.
        if inside is not None:
            await subscriber.wait_replied_elsewhere(inside)
        if self._may_change(client, invocation, named):
            self._submit_inside(client, request, invocation)

    def _submit_inside(
        self, client: Client, request: CommandRequest, invocation: Invocation
    ) -> None:
        by_operator = self._policy.is_operator(client.role)
        command = request.command(client.author, self._new_id, by_operator=by_operator)
        reply = partial(invocation.reply, repeatable=command.client_made_id)
        self._rooms.submit(client.subscriber, command, reply, invocation.received_at)

    def _submit_outside(
        self,
        slug: str,
        client: Client,
        command: Command,
        invocation: Invocation,
        only_repeat: bool,
    ) -> None:
        def reply(outcome: Accepted | Rejection) -> None:
            if isinstance(outcome, Rejection) and outcome.code is Code.RETREAT_NOT_FOUND:
                outcome = NOT_IN_ROOM  # as where the client may not read
            invocation.reply(outcome, repeatable=command.client_made_id, outside_room=True)

        self._rooms.submit_outside(
            slug,
            client.subscriber,
            command,
            reply,
            invocation.received_at,
            only_repeat=only_repeat,
        )
