"""The operations of the API, by path and method."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.contract.commands import COMMANDS, LINE_UP_PATH, CommandSpec, Route
from gbs_actor.gateway.http.openapi.parameters import parameters
from gbs_actor.gateway.http.openapi.responses import ETAG, SET_COOKIE, errors, json, success
from gbs_actor.gateway.http.openapi.schemas import reference

Described = dict[str, Any]

_ANYBODY: Final[list[dict[str, list[str]]]] = []
_OPERATORS: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"adminSession": []}]
_READ_ERRORS: Final = (400, 401, 403, 404, 429, 500, 503)
_WRITE_ERRORS: Final = (400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504)

_MEMO_OF_ANSWER: Final = {
    "slug": "$request.path.slug",
    "id": "$response.body#/userRetreatGbsLineup/lineupMemoId",
}
_LINKS: Final = {
    "createMemo": {
        operation: {"operationId": operation, "parameters": _MEMO_OF_ANSWER}
        for operation in ("updateMemo", "deleteMemo")
    }
}
"""By operation, the links of its response."""


def paths(*, has_admin: bool = True) -> dict[str, Described]:
    """Return all paths.

    :param has_admin: whether ``/admin`` is among them.
    """
    described: dict[str, Described] = {f"{LINE_UP_PATH}/user-lineups": {"get": _READ}}
    for spec in COMMANDS:
        for route in spec.routes:
            operations = described.setdefault(LINE_UP_PATH + route.path, {})
            operations[route.method.lower()] = _write(spec, route)
    return {
        **described,
        **(_ADMIN if has_admin else {}),
        "/healthz": {"get": _HEALTH},
        "/readyz": {"get": _READINESS},
    }


def _write(spec: CommandSpec[Any], route: Route) -> Described:
    """Return an operation that changes the line-up."""
    content = json(reference((route.body or spec.body).__name__))
    if route.example is not None:
        content["application/json"]["example"] = route.example
    answer = success("Edited", "The change is durable, and sent to all pages.")
    if route.operation in _LINKS:
        answer["links"] = _LINKS[route.operation]
    names = ("slug", *filter(None, [route.parameter]), "idempotencyKey", "ifMatch")
    return {
        "operationId": route.operation,
        "tags": ["line-up"],
        "summary": route.summary,
        **({"description": route.description} if route.description else {}),
        "parameters": parameters(*names),
        "requestBody": {"required": route.example is not None, "content": content},
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
        "304": {"description": "The reader's list is current.", "headers": ETAG},
        **errors(*_READ_ERRORS),
    },
}

_ROOMS: Final[Described] = {
    "operationId": "readRooms",
    "tags": ["operators"],
    "summary": "Show the open rooms, page by page.",
    "description": "Of the retreats in which the user is an operator. `total` counts all that "
    "match.",
    "security": _OPERATORS,
    "parameters": parameters("state", "search", "sort", "offset", "limit"),
    "responses": {
        "200": success("Rooms", "The statistics of the rooms."),
        **errors(400, 401, 403, 429, 500),
    },
}

_ROOM: Final[Described] = {
    "operationId": "readRoom",
    "tags": ["operators"],
    "summary": "Show one open room as a whole.",
    "description": "With the batch in hand, the last changes, crashes with their tracebacks, who "
    "is there, and up to 500 subscribers.",
    "security": _OPERATORS,
    "parameters": parameters("slug"),
    "responses": {
        "200": success("Room", "The statistics of the room."),
        **errors(*_READ_ERRORS),
    },
}

_SYSTEM: Final[Described] = {
    "operationId": "readSystem",
    "tags": ["operators"],
    "summary": "Show the whole server: process, database, connections, limits, settings.",
    "description": "The figures are at most a second old.",
    "security": _OPERATORS,
    "responses": {
        "200": success("System", "The statistics of all parts."),
        **errors(401, 403, 429, 500),
    },
}

_OVERVIEW: Final[Described] = {
    "operationId": "readOverview",
    "tags": ["operators"],
    "summary": "Show the whole server at a glance.",
    "description": "The figures are at most a second old; asking for them every second is cheap.",
    "security": _OPERATORS,
    "responses": {
        "200": success("Overview", "The figures that matter most."),
        **errors(401, 403, 429, 500),
    },
}

_HISTORY: Final[Described] = {
    "operationId": "readHistory",
    "tags": ["operators"],
    "summary": "Show the last hour: a sample every ten seconds.",
    "security": _OPERATORS,
    "responses": {
        "200": success("History", "The samples, by series."),
        **errors(401, 403, 429, 500),
    },
}

_TASK_TREE: Final[Described] = {
    "operationId": "readTaskTree",
    "tags": ["operators"],
    "summary": "Show the tasks of the server, and where each waits.",
    "security": _OPERATORS,
    "responses": {
        "200": success("TaskTree", "The tasks; of many alike some are shown."),
        **errors(401, 403, 429, 500),
    },
}

_METRICS: Final[Described] = {
    "operationId": "readMetrics",
    "tags": ["operators"],
    "summary": "What Prometheus scrapes.",
    "description": "For operators of everything, and for the token of metrics in the settings. "
    "As OpenMetrics, if `Accept` names that. The figures are at most a second old.",
    "security": [{"bearer": []}],
    "responses": {
        "200": {
            "description": "All metrics.",
            "content": {
                name: {"schema": {"type": "string"}}
                for name in ("text/plain", "application/openmetrics-text")
            },
        },
        **errors(401, 403, 429, 500),
    },
}

_BEGIN_SESSION: Final[Described] = {
    "operationId": "beginAdminSession",
    "tags": ["operators"],
    "summary": "Begin a session of a browser.",
    "description": "It ends with the token, after 12 hours at most.",
    "security": [{"bearer": []}],
    "responses": {
        "200": success("OperatorSession", "It has begun.", headers=SET_COOKIE),
        **errors(400, 401, 403, 429, 500),
    },
}

_SHOW_SESSION: Final[Described] = {
    "operationId": "readAdminSession",
    "tags": ["operators"],
    "summary": "Show who is using this.",
    "security": _OPERATORS,
    "responses": {
        "200": success("OperatorSession", "The operator, and the CSRF token of the session."),
        **errors(401, 403, 429, 500),
    },
}

_END_SESSION: Final[Described] = {
    "operationId": "endAdminSession",
    "tags": ["operators"],
    "summary": "End the session.",
    "security": _OPERATORS,
    "parameters": parameters("csrfToken"),
    "responses": {
        "204": {"description": "There is none any more.", "headers": SET_COOKIE},
        **errors(401, 403, 429, 500),
    },
}

_ADMIN: Final[dict[str, Described]] = {
    "/admin/history": {"get": _HISTORY},
    "/admin/overview": {"get": _OVERVIEW},
    "/admin/rooms": {"get": _ROOMS},
    "/admin/rooms/{slug}": {"get": _ROOM},
    "/admin/session": {"post": _BEGIN_SESSION, "get": _SHOW_SESSION, "delete": _END_SESSION},
    "/admin/system": {"get": _SYSTEM},
    "/admin/task-tree": {"get": _TASK_TREE},
    "/metrics": {"get": _METRICS},
}

_HEALTH: Final[Described] = {
    "operationId": "readHealth",
    "tags": ["probes"],
    "summary": "Does the process respond?",
    "security": _ANYBODY,
    "responses": {"200": success("Alive", "It does."), **errors(500)},
}

_READINESS: Final[Described] = {
    "operationId": "readReadiness",
    "tags": ["probes"],
    "summary": "Should the server receive clients?",
    "security": _ANYBODY,
    "responses": {
        "200": success("Ready", "The database stores changes, and the server is not stopping."),
        **errors(500, 503),
    },
}
