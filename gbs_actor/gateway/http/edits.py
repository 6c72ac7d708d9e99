"""Writes to the line-up over HTTP, through the same rooms as everybody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import trio
from msgspec import Raw
from quart import Blueprint, Request, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from gbs_actor.auth import TokenSource, User, forbidden
from gbs_actor.gateway.connection import author_of
from gbs_actor.gateway.http.identity import authenticate, check_origin, role_in
from gbs_actor.gateway.http.models import Edited
from gbs_actor.gateway.http.preconditions import guarded
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.payloads import (
    CommandRequest,
    Guarded,
    MemoBody,
    NumberBody,
    check_path_id,
    decode,
    decode_update_number,
    memo_of,
    number_of,
)
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import AssignNumber, Command, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Accepted
from gbs_actor.socketio import OriginPolicy
from gbs_actor.store.protocol import StoreUnavailable

ROLE_PATIENCE: Final = 3.0
"""Seconds in which a write that has arrived learns its author's role, whoever hangs up."""

_number: Final = msgspec.json.Decoder(NumberBody)
_memo: Final = msgspec.json.Decoder(MemoBody)
_guards: Final = msgspec.json.Decoder(Guarded)
_encoder: Final = msgspec.json.Encoder()


def edits(services: Services) -> Blueprint:
    """Return the routes below ``/api/v1/retreat/{slug}/line-up`` that change something.

    A write that has arrived in full is carried out, also where its client hangs up.
    """
    blueprint = Blueprint("edits", __name__, url_prefix="/api/v1/retreat/<slug>/line-up")
    origins = OriginPolicy(
        services.settings.http.allowed_origins, [services.settings.auth.cookie_name]
    )

    @blueprint.put("/user-lineups/<registration_id>")
    async def assign_number(slug: str, registration_id: str) -> Response:
        def read(raw: bytes) -> CommandRequest:
            person = check_path_id("registrationId", registration_id)
            body = decode(raw, _number)
            return CommandRequest.of(AssignNumber(person, number_of(body)), body)

        return await edit(slug, read)

    @blueprint.post("/assign-gbs")
    async def assign_gbs(slug: str) -> Response:
        return await edit(slug, decode_update_number)

    @blueprint.post("/<registration_id>/lineup-memo")
    async def create_memo(slug: str, registration_id: str) -> Response:
        def read(raw: bytes) -> CommandRequest:
            person = check_path_id("registrationId", registration_id)
            body = decode(raw, _memo)
            return CommandRequest.of(CreateMemo(person, *memo_of(body)), body)

        return await edit(slug, read)

    @blueprint.put("/<memo_id>/lineup-memo")
    async def update_memo(slug: str, memo_id: str) -> Response:
        def read(raw: bytes) -> CommandRequest:
            memo = check_path_id("memoId", memo_id)
            body = decode(raw, _memo)
            return CommandRequest.of(UpdateMemo(memo, *memo_of(body)), body)

        return await edit(slug, read)

    @blueprint.delete("/<memo_id>/lineup-memo")
    async def delete_memo(slug: str, memo_id: str) -> Response:
        def read(raw: bytes) -> CommandRequest:
            memo = check_path_id("memoId", memo_id)
            return CommandRequest.of(DeleteMemo(memo), decode(raw, _guards) if raw else Guarded())

        return await edit(slug, read)

    async def edit(slug: str, read: Callable[[bytes], CommandRequest]) -> Response:
        user = authenticate(request, services)
        raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        # From here on nothing is lost when the client hangs up: up to the room's mailbox
        # nothing waits but this, and what is in the mailbox is carried out.
        if not services.authorizer.policy.may_edit(await _role(user, slug, services)):
            raise forbidden()
        check_origin(request, user, origins)
        if raw and user.source is TokenSource.COOKIE:
            _check_media_type(request)
        wanted = guarded(read(raw), request.headers)
        outcome = await _carry_out(services.rooms, slug, wanted.command(author_of(user)))
        if isinstance(outcome, Rejection):
            failure = Failure.of(outcome, repeatable=wanted.command_id is not None)
            return failure_response(failure)
        return _edited(outcome)

    return blueprint


async def _role(user: User, slug: str, services: Services) -> str:
    """Return the user's role, also where the client has hung up meanwhile.

    :raises StoreUnavailable: it cannot be looked up, or takes longer than :data:`ROLE_PATIENCE`.
    """
    with trio.move_on_after(ROLE_PATIENCE, shield=True):
        return await role_in(user, slug, services)
    raise StoreUnavailable("the store does not answer in time")


async def _carry_out(rooms: RoomSupervisor, slug: str, command: Command) -> Accepted | Rejection:
    """Give a command to a room and return what became of it.

    Cancellation ends the wait; the command is carried out all the same.
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
    """Refuse a body that says it is no JSON: a form of a foreign page cannot say it is.

    Only a cookie comes along with such a form; what brings a token of its own may say
    anything, as ``curl -d`` does.
    """
    if request.mimetype and not request.is_json:
        raise UnsupportedMediaType


def _edited(outcome: Accepted) -> Response:
    rows = tuple(Raw(row.json) for row in outcome.rows)
    body = _encoder.encode(Edited(rows, Raw(outcome.row.json), outcome.revision))
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response
