"""The operations of the API, by path and method."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.gateway.http.openapi.parameters import parameters
from gbs_actor.gateway.http.openapi.responses import ETAG, errors, json, success
from gbs_actor.gateway.http.openapi.schemas import reference

Described = dict[str, Any]

LINE_UP: Final = "/api/v1/retreat/{slug}/line-up"

_ANYBODY: Final[list[dict[str, list[str]]]] = []
_READ_ERRORS: Final = (400, 401, 403, 404, 429, 500, 503)
_WRITE_ERRORS: Final = (400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504)

_MEMO_LINKS: Final = {
    "updateMemo": {
        "operationId": "updateMemo",
        "parameters": {
            "slug": "$request.path.slug",
            "id": "$response.body#/userRetreatGbsLineup/lineupMemoId",
        },
    },
    "deleteMemo": {
        "operationId": "deleteMemo",
        "parameters": {
            "slug": "$request.path.slug",
            "id": "$response.body#/userRetreatGbsLineup/lineupMemoId",
        },
    },
}


def paths() -> dict[str, Described]:
    """Return all paths."""
    return {
        f"{LINE_UP}/user-lineups": {"get": _READ},
        f"{LINE_UP}/user-lineups/{{registrationId}}": {
            "put": _write(
                "assignNumber",
                "Put a person into a group, or into none.",
                "A group that does not exist yet is created. A leader's group is not changed "
                "this way (LEADER_LOCKED).",
                "registrationId",
                body="NumberBody",
                example={"gbsNumber": 7},
            )
        },
        f"{LINE_UP}/assign-gbs": {
            "post": _write(
                "assignGbs",
                "The same, with the person in the body.",
                body="AssignBody",
                example={"userRetreatRegistrationId": 1, "gbsNumber": 7},
            )
        },
        f"{LINE_UP}/{{id}}/lineup-memo": {
            "post": _write(
                "createMemo",
                "Write the line-up memo that a person does not have yet.",
                "There is one per person: a second one is a CONFLICT, unless it is the same.",
                "memoOwner",
                body="MemoBody",
                example={"memo": "같은 조 희망", "color": "#FFCC00"},
                links=_MEMO_LINKS,
            ),
            "put": _write(
                "updateMemo",
                "Replace a memo's text and colour.",
                "An absent colour clears it.",
                "memo",
                body="MemoBody",
                example={"memo": "같은 조 희망", "color": "#FFCC00"},
            ),
            "delete": _write("deleteMemo", "Delete a memo.", "", "memo", body="GuardBody"),
        },
        "/admin/rooms": {"get": _ROOMS},
        "/admin/rooms/{slug}": {"get": _ROOM},
        "/healthz": {"get": _HEALTH},
        "/readyz": {"get": _READINESS},
    }


def _write(
    operation: str,
    summary: str,
    description: str = "",
    *path: str,
    body: str,
    example: Described | None = None,
    links: Described | None = None,
) -> Described:
    """Return an operation that changes the line-up.

    :param path: parameters of its path beside the retreat.
    :param body: the component of its body, which is optional where there is no example.
    """
    content = json(reference(body))
    if example is not None:
        content["application/json"]["example"] = example
    answer = success("Edited", "The change is durable, and on everybody's screen.")
    if links is not None:
        answer["links"] = links
    return {
        "operationId": operation,
        "tags": ["line-up"],
        "summary": summary,
        **({"description": description} if description else {}),
        "parameters": parameters("slug", *path, "idempotencyKey", "ifMatch"),
        "requestBody": {"required": example is not None, "content": content},
        "responses": {"200": answer, **errors(*_WRITE_ERRORS)},
    }


_READ: Final[Described] = {
    "operationId": "readLineups",
    "tags": ["line-up"],
    "summary": "Read the line-up, or what of it has changed.",
    "description": "In list order: by group, the leader first, those without a group last.",
    "parameters": parameters("slug", "since", "epoch", "ifNoneMatch"),
    "responses": {
        "200": success("UserLineups", "The rows.", headers=ETAG),
        "304": {"description": "The reader has just this.", "headers": ETAG},
        **errors(*_READ_ERRORS),
    },
}

_ROOMS: Final[Described] = {
    "operationId": "readRooms",
    "tags": ["operators"],
    "summary": "Look at all open rooms.",
    "responses": {
        "200": success("Rooms", "What the rooms tell of themselves."),
        **errors(401, 403, 429, 500),
    },
}

_ROOM: Final[Described] = {
    "operationId": "readRoom",
    "tags": ["operators"],
    "summary": "Look at one open room, with everybody in it.",
    "parameters": parameters("slug"),
    "responses": {
        "200": success("Room", "What the room tells of itself."),
        **errors(*_READ_ERRORS),
    },
}

_HEALTH: Final[Described] = {
    "operationId": "readHealth",
    "tags": ["probes"],
    "summary": "Does the process answer?",
    "security": _ANYBODY,
    "responses": {"200": success("Alive", "It does."), **errors(500)},
}

_READINESS: Final[Described] = {
    "operationId": "readReadiness",
    "tags": ["probes"],
    "summary": "Should the server get clients?",
    "security": _ANYBODY,
    "responses": {
        "200": success("Ready", "The database answers, and the server is not stopping."),
        **errors(500, 503),
    },
}
