"""The responses of operations: bodies, headers, and every error status."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from gbs_actor.gateway.http.errors import CODES
from gbs_actor.gateway.http.openapi.schemas import error_schema, reference
from gbs_actor.gateway.http.responses import STATUS
from gbs_actor.lineup.codes import Code

Described = dict[str, Any]

_NOT_OVER_HTTP: Final = {Code.NOT_IN_ROOM}
_NAMES: Final = {
    400: ("BadRequest", "The request is malformed; the message names the fault."),
    401: ("Unauthorized", "There is no token, or an invalid one."),
    403: ("Forbidden", "The token is valid, but its user may not do this here."),
    404: ("NotFound", "There is no such retreat, person or memo."),
    408: ("RequestTimeout", "The body took too long to arrive."),
    409: ("Conflict", "It conflicts with the current line-up; nothing was changed."),
    410: ("Gone", "The history does not go back so far; see `oldestRevision`."),
    413: ("ContentTooLarge", "The body is too large."),
    415: ("UnsupportedMediaType", "The body is not declared as JSON."),
    429: (
        "TooManyRequests",
        "The user sends too many requests, counted over all their connections.",
    ),
    500: ("Internal", "Something went wrong on the server; repeating it will not help."),
    503: (
        "Unavailable",
        "Not now. The client may send the same request again; it takes effect once.",
    ),
    504: (
        "OutcomeUnknown",
        "It is not known whether the change was saved. Repeat it with the same `Idempotency-Key`; "
        "without one, read the line-up first.",
    ),
}

_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_WWW_AUTHENTICATE: Final = {
    "WWW-Authenticate": {
        "description": "The scheme of the token (RFC 6750 §3).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer"},
    }
}
_HEADERS: Final = {401: _WWW_AUTHENTICATE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}

ETAG: Final = {
    "ETag": {
        "description": "Of this list; for `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^".+"$'},
    }
}

SET_COOKIE: Final = {
    "Set-Cookie": {
        "description": "The session's cookie, for `/admin` only; HttpOnly, SameSite=Strict.",
        "required": True,
        "schema": {"type": "string", "pattern": "^adminSession="},
    }
}


def json(schema: Described) -> Described:
    """Return content that is JSON."""
    return {"application/json": {"schema": schema}}


def success(name: str, description: str, **parts: Any) -> Described:
    """Return the response of a successful operation.

    :param name: the component of its body.
    :param parts: headers, links.
    """
    return {"description": description, "content": json(reference(name)), **parts}


def errors(*statuses: int) -> Described:
    """Return the responses of a failed operation, by status."""
    return {
        str(status): {"$ref": f"#/components/responses/{_NAMES[status][0]}"} for status in statuses
    }


def components() -> dict[str, Described]:
    """Return every error response, by name."""
    codes: defaultdict[int, set[str]] = defaultdict(set)
    for code, status in STATUS.items():
        if code not in _NOT_OVER_HTTP:
            codes[status].add(code)
    for status, code in CODES.items():
        codes[status].add(code)
    answers: dict[str, Described] = {}
    for status, (name, description) in _NAMES.items():
        answers[name] = {"description": description, "content": json(error_schema(codes[status]))}
        if status in _HEADERS:
            answers[name]["headers"] = _HEADERS[status]
    return answers
