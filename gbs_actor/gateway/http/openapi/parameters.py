"""The parameters of the API: in the path, in the query, in headers."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.contract.decoding import MAX_SLUG_LENGTH
from gbs_actor.contract.payloads import MAX_EPOCH_LENGTH
from gbs_actor.gateway.http import history
from gbs_actor.gateway.http.admin import event_query
from gbs_actor.gateway.http.admin.query import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, MAX_TEXT
from gbs_actor.gateway.http.admin.room_query import SORTS
from gbs_actor.gateway.http.admin.session_query import DEFAULT_SORT, Accepted, Protocol
from gbs_actor.gateway.http.admin.session_query import SORTS as SESSION_SORTS
from gbs_actor.lineup.rules import LAST_ID, LAST_NUMBER
from gbs_actor.rooms import RoomState

Described = dict[str, Any]

_HEX: Final = "[0-9A-Fa-f]"
_UUID: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_REVISION: Final = "[0-9]{1,18}"
_ID: Final = {"type": "integer", "minimum": 1, "maximum": LAST_ID}

_PARAMETERS: Final[dict[str, Described]] = {
    "slug": {
        "in": "path",
        "name": "slug",
        "required": True,
        "description": "The retreat.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_SLUG_LENGTH,
            "pattern": "^[^/\\u0000]+$",
        },
        "example": "2024-winter",
    },
    "registrationId": {
        "in": "path",
        "name": "registrationId",
        "required": True,
        "description": "The person's registration: `id` of their row.",
        "schema": _ID,
    },
    "gbsId": {
        "in": "path",
        "name": "gbsId",
        "required": True,
        "description": "The group: `id` in `gbslist`.",
        "schema": _ID,
    },
    # A memo's path has one template (OpenAPI §4.8.8.2), whichever id it has.
    "memoOwner": {
        "in": "path",
        "name": "id",
        "required": True,
        "description": "The person's registration: `id` of their row.",
        "schema": _ID,
    },
    "memo": {
        "in": "path",
        "name": "id",
        "required": True,
        "description": "The memo: `lineupMemoId` of its row.",
        "schema": _ID,
    },
    "since": {
        "in": "query",
        "name": "since",
        "description": "Only rows with at least this revision, that of the last row the reader "
        "has. Where that would not be enough, the whole list comes all the same; see `full`.",
        "schema": {"type": "integer", "minimum": 0, "maximum": LAST_ID},
    },
    "epoch": {
        "in": "query",
        "name": "epoch",
        "description": "The epoch that `since` belongs to; in another epoch `since` is ignored.",
        "schema": {
            "type": "string",
            "maxLength": MAX_EPOCH_LENGTH,
            "pattern": "^[^\\u0000]*$",
        },
    },
    "at": {
        "in": "query",
        "name": "at",
        "description": "The list as of this revision, or of the last change by this time, on "
        "today's people; who registered later is absent. Goes without `since` and `epoch`.",
        "schema": {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LAST_ID},
                {"type": "string", "format": "date-time"},
            ]
        },
    },
    **{
        key: {
            "in": "query",
            "name": name,
            "description": meaning,
            "schema": {"type": "integer", "minimum": 1, "maximum": highest, **more},
        }
        for key, name, meaning, highest, more in (
            ("changesBefore", "before", "Only changes with a lower revision.", LAST_ID, {}),
            (
                "changesLimit",
                "limit",
                "Changes at most; a page with bulk edits may have fewer.",
                history.MAX_LIMIT,
                {"default": history.DEFAULT_LIMIT},
            ),
            (
                "changedRegistration",
                "registrationId",
                "Only changes of this person's fields.",
                LAST_ID,
                {},
            ),
            (
                "changedGroup",
                "gbsNumber",
                "Only changes of this group, or of who is in it.",
                LAST_NUMBER,
                {},
            ),
            ("changesBy", "userId", "Only changes by this user.", LAST_ID, {}),
        )
    },
    "importId": {
        "in": "path",
        "name": "importId",
        "required": True,
        "description": "The import: `importId` of its preview.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "applyLineupNumber": {
        "in": "query",
        "name": "applyLineupNumber",
        "description": "Whether the column `No.` counts: people number rows anew when they have "
        "sorted them.",
        "schema": {"type": "boolean", "default": False},
    },
    "state": {
        "in": "query",
        "name": "state",
        "description": "Only rooms in this state.",
        "schema": {"type": "string", "enum": list(RoomState)},
    },
    "search": {
        "in": "query",
        "name": "search",
        "description": "Only rooms whose slug has this in it, in whatever case.",
        "schema": {"type": "string", "maxLength": MAX_TEXT},
    },
    "sort": {
        "in": "query",
        "name": "sort",
        "description": "The figure to sort by; with `-` the highest come first.",
        "schema": {"type": "string", "enum": list(SORTS), "default": "slug"},
    },
    "searchSessions": {
        "in": "query",
        "name": "search",
        "description": "Only those with this in their name, user id, sid or address, in whatever "
        "case; of closed ones also in room, reason or detail.",
        "schema": {"type": "string", "maxLength": MAX_TEXT},
    },
    "room": {
        "in": "query",
        "name": "room",
        "description": "Only what is in the room with this slug, or about it.",
        "schema": {"type": "string", "maxLength": MAX_TEXT},
    },
    "protocol": {
        "in": "query",
        "name": "protocol",
        "description": "Only those who speak this.",
        "schema": {"type": "string", "enum": list(Protocol)},
    },
    "sortSessions": {
        "in": "query",
        "name": "sort",
        "description": "The figure to sort by; with `-` the highest come first.",
        "schema": {"type": "string", "enum": list(SESSION_SORTS), "default": DEFAULT_SORT},
    },
    "sid": {
        "in": "path",
        "name": "sid",
        "required": True,
        "description": "The session.",
        "schema": {"type": "string", "minLength": 1, "pattern": "^[^/\\u0000]+$"},
    },
    "userId": {
        "in": "query",
        "name": "userId",
        "description": "Only those of this user.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LAST_ID},
    },
    "address": {
        "in": "query",
        "name": "address",
        "description": "Only those from this IP address.",
        "schema": {"type": "string", "maxLength": MAX_TEXT},
    },
    "reason": {
        "in": "query",
        "name": "reason",
        "description": "Only those that ended, or were refused, for this reason.",
        "schema": {"type": "string", "maxLength": MAX_TEXT},
    },
    "accepted": {
        "in": "query",
        "name": "accepted",
        "description": "Only sessions that had been accepted, or only refused clients.",
        "schema": {"type": "string", "enum": list(Accepted)},
    },
    "node": {
        "in": "query",
        "name": "node",
        "description": "Of several servers on the database the one that is to answer. Without it "
        "the server that is asked does, for rooms, sessions and kicks with the others.",
        "schema": {"type": "string", "pattern": "^[a-z0-9-]{1,16}$"},
    },
    "dryRun": {
        "in": "query",
        "name": "dry_run",
        "description": "With any value: check and answer, but change nothing.",
        "schema": {"type": "string"},
    },
    "offset": {
        "in": "query",
        "name": "offset",
        "description": "Entries before the first one.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
    },
    "limit": {
        "in": "query",
        "name": "limit",
        "description": "Entries at most.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
        },
    },
    "after": {
        "in": "query",
        "name": "after",
        "description": "The number of the last event that the reader has, as `last` of a page or "
        "the id of an event in a stream; of another run of the server, all events are new.",
        "schema": {"type": "string", "pattern": f"^{event_query.AFTER}$"},
    },
    "kind": {
        "in": "query",
        "name": "kind",
        "description": "Only events whose kind begins with this, or with one of several.",
        "schema": {"type": "string", "pattern": f"^{event_query.KINDS}$"},
        "example": "room.,limit.hit",
    },
    "user": {
        "in": "query",
        "name": "user",
        "description": "Only events about this user.",
        "schema": _ID,
    },
    "eventLimit": {
        "in": "query",
        "name": "limit",
        "description": "Events at most.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": event_query.DEFAULT_LIMIT,
        },
    },
    "kickedUserId": {
        "in": "path",
        "name": "userId",
        "required": True,
        "description": "The user.",
        "schema": _ID,
    },
    "before": {
        "in": "query",
        "name": "before",
        "description": "Only records with a lower id.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LAST_ID},
    },
    **{
        name: {
            "in": "query",
            "name": name,
            "description": meaning,
            "schema": {"type": "string", "maxLength": MAX_TEXT, "pattern": "^[^\\u0000]*$"},
        }
        for name, meaning in (
            ("operator", "Only those of this operator: the user id, or the name."),
            ("action", "Only actions that begin so: `room.` stands for all on rooms."),
            ("target", "Only those on this room, session or user."),
        )
    },
    "ifNoneMatch": {
        "in": "header",
        "name": "If-None-Match",
        "description": "The `ETag` of the reader's list; the response is 304 if that is current.",
        "schema": {"type": "string"},
    },
    "idempotencyKey": {
        "in": "header",
        "name": "Idempotency-Key",
        "description": "A UUID of the client's, bare or as a quoted string: the same request with "
        "the same key takes effect once, and is answered with its original revision. The same key "
        "with another request is refused.",
        "schema": {
            "anyOf": [
                {"type": "string", "format": "uuid"},
                {"type": "string", "pattern": f'^"{_UUID}"$'},
            ]
        },
    },
    "csrfToken": {
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "`csrfToken` of the session; needed with its cookie only.",
        "schema": {"type": "string"},
    },
    "ifMatch": {
        "in": "header",
        "name": "If-Match",
        "description": "The revision the user was looking at, bare or quoted: CONFLICT if the "
        "field was changed since. `*` is as good as none: then the later change wins.",
        "schema": {"type": "string", "pattern": f'^(\\*|{_REVISION}|"{_REVISION}")$'},
    },
}


def parameters(*names: str) -> list[Described]:
    """Return references to parameters."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def components() -> dict[str, Described]:
    """Return every parameter, by name."""
    return _PARAMETERS
