"""The operations of the API, by path and method."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.contract.command_spec import LINE_UP_PATH, CommandSpec, Route
from gbs_actor.contract.commands import COMMANDS
from gbs_actor.gateway.http.openapi import admin, retreats, sheets
from gbs_actor.gateway.http.openapi.parameters import parameters
from gbs_actor.gateway.http.openapi.responses import ETAG, errors, json, success
from gbs_actor.gateway.http.openapi.schemas import reference
from gbs_actor.lineup.commands import PLANNED, Undo

Described = dict[str, Any]

_ANYBODY: Final[list[dict[str, list[str]]]] = []
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
    described: dict[str, Described] = {
        f"{LINE_UP_PATH}/user-lineups": {"get": _READ},
        f"{LINE_UP_PATH}/gbslist": {"get": _GROUPS},
        f"{LINE_UP_PATH}/history": {"get": _CHANGES},
    }
    for spec in COMMANDS:
        for route in spec.routes:
            operations = described.setdefault(LINE_UP_PATH + route.path, {})
            operations[route.method.lower()] = _write(spec, route)
    return {
        **described,
        **sheets.paths(),
        **retreats.paths(),
        **(admin.paths() if has_admin else {}),
        "/healthz": {"get": _HEALTH},
        "/readyz": {"get": _READINESS},
    }


def _write(spec: CommandSpec[Any], route: Route) -> Described:
    """Return an operation that changes the line-up."""
    content = json(reference((route.body or spec.body).__name__))
    if route.example is not None:
        content["application/json"]["example"] = route.example
    result = "ChangeResult" if spec.action in PLANNED else "Edited"
    answer = success(result, "The change is durable, and sent to all pages.")
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
        "responses": {
            "200": answer,
            **errors(*_WRITE_ERRORS, *((410,) if spec.action is Undo else ())),
        },
    }


_MAYBE_ETAG: Final = {"ETag": {**ETAG["ETag"], "required": False}}
_READ: Final[Described] = {
    "operationId": "readLineups",
    "tags": ["line-up"],
    "summary": "Read the line-up, or what of it has changed.",
    "description": "In list order: by group, the leader first, those without a group last.",
    "parameters": parameters("slug", "since", "epoch", "at", "ifNoneMatch"),
    "responses": {
        "200": success(
            "UserLineups", "The rows; with `at` there is no `ETag`.", headers=_MAYBE_ETAG
        ),
        "304": {"description": "The reader's list is current.", "headers": ETAG},
        **errors(*_READ_ERRORS, 410),
    },
}

_GROUPS: Final[Described] = {
    "operationId": "readGroups",
    "tags": ["line-up"],
    "summary": "List the groups, empty ones too, with their leaders and memos.",
    "parameters": parameters("slug"),
    "responses": {
        "200": success(
            "GroupList",
            "The groups, by number.",
            links={
                "unassignLeaders": {
                    "operationId": "unassignLeaders",
                    "parameters": {
                        "slug": "$request.path.slug",
                        "gbsId": "$response.body#/gbsList/0/id",
                    },
                }
            },
        ),
        **errors(*_READ_ERRORS),
    },
}

_CHANGES: Final[Described] = {
    "operationId": "readChanges",
    "tags": ["line-up"],
    "summary": "Show who has changed what, the newest first.",
    "description": "For who may edit. `next` is for `before`.",
    "parameters": parameters(
        "slug",
        "changesBefore",
        "changesLimit",
        "changedRegistration",
        "changedGroup",
        "changesBy",
    ),
    "responses": {
        "200": success(
            "LineupHistory",
            "The changes.",
            links={
                "undo": {
                    "operationId": "undo",
                    "parameters": {"slug": "$request.path.slug"},
                    "requestBody": {"commandId": "$response.body#/changes/0/commandId"},
                }
            },
        ),
        **errors(*_READ_ERRORS),
    },
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
        "200": success(
            "Ready",
            "The database stores changes, what other servers change is seen, and the server is not "
            "stopping.",
        ),
        **errors(500, 503),
    },
}
