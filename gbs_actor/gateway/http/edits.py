"""Writes to the line-up over HTTP, through the same rooms as events."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
import trio
from msgspec import Raw
from quart import Blueprint, Request, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from gbs_actor.auth import TokenSource, forbidden
from gbs_actor.contract.command_spec import LINE_UP_PATH, CommandRequest, CommandSpec, Route
from gbs_actor.contract.commands import COMMANDS, GROUP_ID
from gbs_actor.contract.decoding import one_id
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import author_of
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.preconditions import guarded, with_forwarded_id
from gbs_actor.gateway.http.responses import Edited, failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Command
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Accepted
from gbs_actor.store.protocol import Store, StoreUnavailable

T = TypeVar("T")

ROLE_TIMEOUT: Final = 3.0
"""Seconds in which the role of a write's author must be found, also after a disconnect."""
_NO_GROUP: Final = Failure.because(Code.NOT_FOUND, "There is no such group.")

_encoder: Final = msgspec.json.Encoder()


def edits(
    rooms: RoomSupervisor, store: Store, identity: Identity, new_id: Callable[[], UUID]
) -> Blueprint:
    """Return the routes of all commands.

    A write that has arrived in full is carried out, even if its client disconnects.

    :param store: finds the number of a group by its id.
    :param new_id: returns a random id, for a command to which neither its client nor a proxy gives
        one.
    """
    blueprint = Blueprint("edits", __name__)

    async def edit(slug: str, spec: CommandSpec[Any], route: Route, target: str | None) -> Response:
        user = identity.authenticate(request)
        raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        # From here on a disconnect loses nothing: what is looked up before the room's mailbox
        # is reached is shielded, and what is in the mailbox is carried out.
        role = await _despite_disconnect(partial(identity.role_in, user, slug))
        if not identity.policy.may_edit(role):
            raise forbidden()
        identity.check_origin(request, user)
        if raw and user.source is TokenSource.COOKIE:
            _check_media_type(request)
        if route.parameter == GROUP_ID and target is not None:
            find_number = partial(_number_of_group, store, slug, target)
            number = await _despite_disconnect(find_number)
            if number is None:
                return failure_response(_NO_GROUP)
            target = str(number)
        wanted = guarded(_read(spec, route, target, raw), request.headers)
        identity.charge(user, wanted.extra_events)
        by_operator = identity.policy.is_operator(role)
        content = str(user.user_id), request.method, request.path
        numbered = with_forwarded_id(wanted, request.headers, raw, *content)
        command = numbered.command(author_of(user), new_id, by_operator=by_operator)
        outcome = await _carry_out(rooms, slug, command)
        if isinstance(outcome, Rejection):
            failure = Failure.of(outcome, repeatable=wanted.command_id is not None)
            return failure_response(failure)
        return _edited(outcome)

    def view(spec: CommandSpec[Any], route: Route) -> Callable[..., Awaitable[Response]]:
        async def view(slug: str, target: str | None = None) -> Response:
            return await edit(slug, spec, route, target)

        return view

    for spec in COMMANDS:
        for route in spec.routes:
            blueprint.add_url_rule(
                _rule(route), route.operation, view(spec, route), methods=[route.method]
            )
    return blueprint


def _rule(route: Route) -> str:
    """Return the path in the framework's syntax, with the names of the view's parameters."""
    return LINE_UP_PATH.replace("{slug}", "<slug>") + re.sub(r"\{\w+\}", "<target>", route.path)


def _read(spec: CommandSpec[Any], route: Route, target: str | None, raw: bytes) -> CommandRequest:
    body = raw if raw or route.example is not None else b"{}"
    return spec.decode(body) if target is None else spec.decode_body(target, body)


async def _number_of_group(store: Store, slug: str, id_: str) -> int | None:
    """Return the number of a group; ``None``: there is no such group.

    :raises InvalidPayload: it is no id.
    """
    wanted = one_id((GROUP_ID, id_))
    groups = await store.groups(slug)
    return next((number for number, group in groups.items() if group.id == wanted), None)


async def _despite_disconnect(look_up: Callable[[], Awaitable[T]]) -> T:
    """Look something up, even if the client has disconnected meanwhile.

    :raises StoreUnavailable: it cannot be, or takes longer than :data:`ROLE_TIMEOUT`.
    """
    with trio.move_on_after(ROLE_TIMEOUT, shield=True):
        return await look_up()
    raise StoreUnavailable("the store does not answer in time")


async def _carry_out(rooms: RoomSupervisor, slug: str, command: Command) -> Accepted | Rejection:
    """Submit a command to a room and return its outcome.

    Cancellation ends the wait; the command is still carried out.
    """
    outcomes: list[Accepted | Rejection] = []
    answered = trio.Event()

    def reply(outcome: Accepted | Rejection) -> None:
        outcomes.append(outcome)
        answered.set()

    rooms.submit_to(slug, command, reply)
    await answered.wait()
    return outcomes[0]


def _check_media_type(request: Request) -> None:
    """Refuse a body that is not declared as JSON: a form of a foreign page cannot declare it.

    Only requests that authenticate by cookie are checked, as a browser sends the cookie with such
    a form. ``curl -d``, which declares a form, sends a token of its own.
    """
    if request.mimetype and not request.is_json:
        raise UnsupportedMediaType


def _edited(outcome: Accepted) -> Response:
    if outcome.row is None:
        body = replies.change_result(outcome, outcome.revision)
    else:
        rows = tuple(Raw(row.json) for row in outcome.rows)
        body = _encoder.encode(Edited(rows, Raw(outcome.row.json), outcome.revision))
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response
