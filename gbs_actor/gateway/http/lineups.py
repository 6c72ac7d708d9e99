"""``/api/v1/retreat/{slug}/line-up/…``: the line-up over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw
from quart import Blueprint, Response, request
from werkzeug.datastructures import ETags, MultiDict
from werkzeug.http import parse_etags

from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.payloads import MAX_EPOCH_LENGTH
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.past import read_past
from gbs_actor.gateway.http.preconditions import single
from gbs_actor.gateway.http.responses import UserLineups, failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.rules import LAST_ID
from gbs_actor.rooms import GroupList, RoomSupervisor, Snapshot
from gbs_actor.store.protocol import Store

_Time = Annotated[datetime, Meta(tz=True)]
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


def lineups(rooms: RoomSupervisor, store: Store, identity: Identity) -> Blueprint:
    """Return the routes below ``/api/v1/retreat/{slug}/line-up``."""
    blueprint = Blueprint("lineups", __name__, url_prefix=LINE_UP_PATH.replace("{slug}", "<slug>"))

    @blueprint.get("/user-lineups")
    async def user_lineups(slug: str) -> Response:
        await identity.require(request, identity.policy.may_read, slug)
        since, epoch = _since(request.args), _epoch(request.args)
        at = _at(request.args)
        if at is not None:
            if not (since is None and epoch is None):
                raise InvalidPayload("at", "at goes without since and epoch.")
            return _past(await read_past(rooms, store, slug, at))
        held = parse_etags(", ".join(request.headers.getlist("If-None-Match")))
        result = await rooms.read(slug, since=since, epoch=epoch, known=_revisions(held))
        if isinstance(result, Rejection):
            return failure_response(Failure.of(result))
        return _conditional(result, held)

    @blueprint.get("/gbslist")
    async def gbs_list(slug: str) -> Response:
        await identity.require(request, identity.policy.may_read, slug)
        groups = await rooms.groups(slug)
        if isinstance(groups, Rejection):
            return failure_response(Failure.of(groups))
        return _uncached(msgspec.json.encode(GroupList(groups)))

    return blueprint


def _past(rows: Snapshot | Failure) -> Response:
    return failure_response(rows) if isinstance(rows, Failure) else _uncached(_written(rows))


def _uncached(body: bytes) -> Response:
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response


def _revisions(held: ETags) -> dict[str, int]:
    """Return the highest revision of each epoch that a client has by its entity tags."""
    revisions: dict[str, int] = {}
    for etag in filter(None, held.as_set(include_weak=True)):  # None: an empty one
        epoch, _, revision = etag.rpartition("-")
        if _DIGITS.fullmatch(revision):
            revisions[epoch] = max(int(revision), revisions.get(epoch, 0))
    return revisions


def _conditional(snapshot: Snapshot, held: ETags) -> Response:
    """Return the rows, or 304 if the client has exactly these (RFC 9110 §13.1.2)."""
    # The list depends only on epoch and revision; another query is another resource.
    etag = f"{snapshot.epoch}-{snapshot.revision}"
    if held.contains_weak(etag):
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


def _at(arguments: MultiDict[str, str]) -> int | datetime | None:
    """Return a revision or a time; ``None``: now."""
    text = single("at", arguments)
    if text is None:
        return None
    if _DIGITS.fullmatch(text) and int(text) <= LAST_ID:
        return int(text)
    try:
        return msgspec.convert(text, _Time).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise InvalidPayload(
            "at", "at must be a revision, or a time like 2024-01-19T10:00:00Z."
        ) from None


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
