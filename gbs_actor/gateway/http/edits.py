"""Writes to the line-up over HTTP, through the same rooms as events."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import trio
from msgspec import Raw
from quart import Blueprint, Request, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from gbs_actor.auth import TokenSource, User, forbidden
from gbs_actor.contract.commands import (
    COMMANDS,
    LINE_UP_PATH,
    CommandRequest,
    CommandSpec,
    Route,
)
from gbs_actor.gateway.client import author_of
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.preconditions import guarded
from gbs_actor.gateway.http.responses import Edited, failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import Command
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Accepted
from gbs_actor.store.protocol import StoreUnavailable

ROLE_TIMEOUT: Final = 3.0
"""Seconds in which the role of a write's author must be found, also after a disconnect."""

_encoder: Final = msgspec.json.Encoder()


def edits(rooms: RoomSupervisor, identity: Identity) -> Blueprint:
    """Return the routes of all commands.

    A write that has arrived in full is carried out, even if its client disconnects.
    """
    blueprint = Blueprint("edits", __name__)

    async def edit(slug: str, read: Callable[[bytes], CommandRequest]) -> Response:
        user = identity.authenticate(request)
        raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        # From here on a disconnect loses nothing: this is the only wait before the room's
        # mailbox, and what is in the mailbox is carried out.
        if not identity.policy.may_edit(await _role(user, slug, identity)):
            raise forbidden()
        identity.check_origin(request, user)
        if raw and user.source is TokenSource.COOKIE:
            _check_media_type(request)
        wanted = guarded(read(raw), request.headers)
        outcome = await _carry_out(rooms, slug, wanted.command(author_of(user)))
        if isinstance(outcome, Rejection):
            failure = Failure.of(outcome, repeatable=wanted.command_id is not None)
            return failure_response(failure)
        return _edited(outcome)

    def view(spec: CommandSpec[Any], route: Route) -> Callable[..., Awaitable[Response]]:
        async def view(slug: str, target: str | None = None) -> Response:
            def read(raw: bytes) -> CommandRequest:
                body = raw if raw or route.example is not None else b"{}"
                return spec.decode(body) if target is None else spec.decode_body(target, body)

            return await edit(slug, read)

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


async def _role(user: User, slug: str, identity: Identity) -> str:
    """Return the user's role, even if the client has disconnected meanwhile.

    :raises StoreUnavailable: it cannot be looked up, or takes longer than :data:`ROLE_TIMEOUT`.
    """
    with trio.move_on_after(ROLE_TIMEOUT, shield=True):
        return await identity.role_in(user, slug)
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
    rows = tuple(Raw(row.json) for row in outcome.rows)
    assert outcome.row is not None
    body = _encoder.encode(Edited(rows, Raw(outcome.row.json), outcome.revision))
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response
