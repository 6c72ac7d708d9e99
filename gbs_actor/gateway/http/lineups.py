"""``/api/v1/retreat/{slug}/line-up/…``: the line-up over HTTP."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw
from quart import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.http import parse_etags

from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.payloads import MAX_EPOCH_LENGTH
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.preconditions import single
from gbs_actor.gateway.http.responses import UserLineups, failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.rules import LAST_ID
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Snapshot

_DIGITS: Final = re.compile(r"[0-9]{1,19}")


def lineups(rooms: RoomSupervisor, identity: Identity) -> Blueprint:
    """Return the routes below ``/api/v1/retreat/{slug}/line-up``."""
    blueprint = Blueprint("lineups", __name__, url_prefix=LINE_UP_PATH.replace("{slug}", "<slug>"))

    @blueprint.get("/user-lineups")
    async def user_lineups(slug: str) -> Response:
        await identity.require(request, identity.policy.may_read, slug)
        since, epoch = _since(request.args), _epoch(request.args)
        result = await rooms.read(slug, since=since, epoch=epoch)
        if isinstance(result, Rejection):
            return failure_response(Failure.of(result))
        return _conditional(result)

    return blueprint


def _conditional(snapshot: Snapshot) -> Response:
    """Return the rows, or 304 if the client has exactly these (RFC 9110 §13.1.2)."""
    # The list depends only on epoch and revision; another query is another resource.
    etag = f"{snapshot.epoch}-{snapshot.revision}"
    if parse_etags(", ".join(request.headers.getlist("If-None-Match"))).contains_weak(etag):
        response = Response(b"", status=304)
        del response.headers["Content-Type"]
    else:
        response = json_response(snapshot.written(UserLineups, _written))
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.update(("Authorization", "Cookie"))
    return response


def _written(snapshot: Snapshot) -> bytes:
    body = UserLineups(Raw(snapshot.rows), snapshot.revision, snapshot.epoch, snapshot.full)
    return msgspec.json.encode(body)


def _since(arguments: MultiDict[str, str]) -> int | None:
    text = single("since", arguments)
    if text is None:
        return None
    if not _DIGITS.fullmatch(text) or int(text) > LAST_ID:
        raise InvalidPayload("since", f"since must be a number between 0 and {LAST_ID}.")
    return int(text)


def _epoch(arguments: MultiDict[str, str]) -> str | None:
    epoch = single("epoch", arguments)
    if epoch is not None and ("\0" in epoch or len(epoch) > MAX_EPOCH_LENGTH):
        raise InvalidPayload("epoch", "epoch is not one that this server gave.")
    return epoch
