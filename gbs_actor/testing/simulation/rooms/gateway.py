"""Between a simulated client and the rooms: what the gateway does, without transports and roles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from gbs_actor.contract.command_spec import CommandRequest
from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.events import ClientEvent
from gbs_actor.environment import Environment
from gbs_actor.gateway import replies
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Author, Command
from gbs_actor.rooms import Accepted, Done, RoomSupervisor, Snapshot
from gbs_actor.rooms.delivery import NOT_IN_ROOM
from gbs_actor.store.protocol import StoreError
from gbs_actor.testing.simulation.history import READ, Json
from gbs_actor.testing.simulation.rooms.connection import Connection

Answer = Callable[[Json], None]
"""Called once, with the ack."""
Routed = Callable[[str | None, bool], None]
"""Called with the retreat that a command goes to, and whether its author is outside of the room."""

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.encode
_STORE_UNAVAILABLE: Final = Failure.because(
    Code.STORE_UNAVAILABLE, "The database cannot be reached; try again shortly."
)


class CommandGateway:
    """Handles the commands of one client; follows ``gateway.command_router``.

    :param operator: whether it may undo what others did.
    """

    def __init__(self, author: Author, environment: Environment, *, operator: bool) -> None:
        self._author = author
        self._environment = environment
        self._operator = operator

    def handle(
        self, connection: Connection, event: str, argument: Json, answer: Answer, routed: Routed
    ) -> Awaitable[None] | None:
        """Handle a command that has come over a connection; return what is left to await."""
        request = _request(event, argument, answer)
        if request is None:
            return None
        if self._submit_nowait(connection, event, request, answer):
            routed(connection.subscriber.room_slug, False)
            return None
        return self._submit(connection, event, request, answer, routed)

    def handle_http(
        self, rooms: RoomSupervisor, slug: str, event: str, argument: Json, answer: Answer
    ) -> None:
        """Handle a command that has come over HTTP."""
        request = _request(event, argument, answer)
        if request is not None:
            command = self._command(request)
            rooms.submit_to(slug, command, _answering(event, command, answer))

    def _submit_nowait(
        self, connection: Connection, event: str, request: CommandRequest, answer: Answer
    ) -> bool:
        subscriber, rooms = connection.subscriber, connection.rooms
        slug, named = subscriber.room_slug, request.retreat_slug
        if slug is None or subscriber.leaving or subscriber.waits_elsewhere(slug):
            return False
        if named is None and request.command_id is not None:
            if not rooms.holds_target(subscriber, request.action):
                return False
        elif named not in (None, slug):
            return False
        self._submit_inside(connection, event, request, answer)
        return True

    async def _submit(
        self,
        connection: Connection,
        event: str,
        request: CommandRequest,
        answer: Answer,
        routed: Routed,
    ) -> None:
        subscriber, rooms = connection.subscriber, connection.rooms
        try:
            await subscriber.wait_left()
            inside, named = subscriber.room_slug, request.retreat_slug
            slug = named or await rooms.find_slug(request.action)
        except StoreError:
            answer(_failed(event, _STORE_UNAVAILABLE))
            return
        if slug is not None and slug != inside:
            await subscriber.wait_replied_elsewhere(slug)
            command = self._command(request, outside_room=True)
            reply = _answering(event, command, answer, outside_room=True)
            only_repeat = inside is not None and named is None
            routed(slug, True)
            if only_repeat:
                # To its author it is a command of the room, unless it turns out to be a repeat.
                answer = _rerouting(answer, lambda: routed(inside, False))
                reply = _answering(event, command, answer, outside_room=True)
            rooms.submit_outside(slug, subscriber, command, reply, only_repeat=only_repeat)
            return
        if inside is not None:
            await subscriber.wait_replied_elsewhere(inside)
        routed(inside, inside is None)
        self._submit_inside(connection, event, request, answer)

    def _submit_inside(
        self, connection: Connection, event: str, request: CommandRequest, answer: Answer
    ) -> None:
        command = self._command(request)
        reply = _answering(event, command, answer)
        connection.rooms.submit(connection.subscriber, command, reply)

    def _command(self, request: CommandRequest, *, outside_room: bool = False) -> Command:
        return request.command(
            self._author,
            self._environment.uuid,
            outside_room=outside_room,
            by_operator=self._operator,
        )


def handle_join(
    connection: Connection,
    slug: str,
    since: int | None,
    epoch: str | None,
    answer: Callable[[Snapshot | Rejection], None],
) -> Awaitable[None] | None:
    """Handle a join that has come over a connection; return what is left to await."""
    rooms, subscriber = connection.rooms, connection.subscriber
    if rooms.join_nowait(slug, subscriber, since=since, epoch=epoch, reply=answer):
        return None
    return rooms.join(slug, subscriber, since=since, epoch=epoch, reply=answer)


def handle_leave(connection: Connection, slug: str, answer: Answer) -> None:
    """Handle a leave that has come over a connection."""
    subscriber = connection.subscriber
    if subscriber.room_slug != slug:
        revision = None if subscriber.room is None else subscriber.sent_revision
        answer(done_json(Done(revision)))
    else:
        connection.rooms.leave(
            subscriber, lambda outcome: answer(done_json(outcome, ClientEvent.LEAVE_RETREAT))
        )


async def handle_read(
    rooms: RoomSupervisor, slug: str, since: int | None, epoch: str | None, answer: Answer
) -> None:
    """Handle a read over HTTP."""
    answer(joined_json(await rooms.read(slug, since=since, epoch=epoch), READ))


def joined_json(outcome: Snapshot | Rejection, event: str = ClientEvent.JOIN_RETREAT) -> Json:
    """Return the ack of a join, or of a read; decoded once for all that get the same list."""
    if isinstance(outcome, Rejection):
        return _failed(event, Failure.of(outcome))
    json: Json = outcome.written(joined_json, lambda snapshot: _decode(replies.joined(snapshot)))
    return json


def done_json(outcome: Done | Rejection, event: str = "") -> Json:
    """Return the ack of an event without a result."""
    if isinstance(outcome, Rejection):
        return _failed(event, Failure.of(outcome))
    json: Json = _decode(replies.done(outcome))
    return json


def _failed(event: str, failure: Failure) -> Json:
    json: Json = _decode(replies.failed(event, failure))
    return json


def _rerouting(answer: Answer, reroute: Callable[[], None]) -> Answer:
    def answered(json: Json) -> None:
        if json.get("code") == Code.NOT_FOUND:
            reroute()
        answer(json)

    return answered


def _request(event: str, argument: Json, answer: Answer) -> CommandRequest | None:
    """Decode a command; answer why it is none."""
    try:
        spec: Any = BY_EVENT[event]
        request: CommandRequest = spec.decode(_encode(argument))
    except InvalidPayload as invalid:
        failure = Failure.because(Code.VALIDATION_FAILED, invalid.message)
        answer(_failed(event, failure))
        return None
    return request


def _answering(
    event: str, command: Command, answer: Answer, *, outside_room: bool = False
) -> Callable[[Accepted | Rejection], None]:
    def reply(outcome: Accepted | Rejection) -> None:
        if isinstance(outcome, Accepted):
            answer(_decode(replies.accepted(outcome, outside_room=outside_room)))
            return
        rejection = outcome
        if outside_room and rejection.code is Code.RETREAT_NOT_FOUND:
            rejection = NOT_IN_ROOM
        failure = Failure.of(rejection, repeatable=command.client_made_id)
        answer(_failed(event, failure))

    return reply
