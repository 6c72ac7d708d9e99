"""What clients send over HTTP, and how a response reads as an ack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

from gbs_actor.contract.events import CommandEvent
from gbs_actor.testing.peers import HttpReply
from gbs_actor.testing.simulation.history import Json

_PATHS: Final[Mapping[str, tuple[str, str, str | None]]] = {
    CommandEvent.UPDATE_GBS_NUMBER: ("PUT", "/user-lineups/{}", "lineupId"),
    CommandEvent.CREATE_LINEUP_MEMO: ("POST", "/{}/lineup-memo", "lineupId"),
    CommandEvent.UPDATE_LINEUP_MEMO: ("PUT", "/{}/lineup-memo", "memoId"),
    CommandEvent.DELETE_LINEUP_MEMO: ("DELETE", "/{}/lineup-memo", "memoId"),
    CommandEvent.BULK_ASSIGN_GBS: ("POST", "/bulk-assign-gbs", None),
    CommandEvent.UNDO: ("POST", "/undo", None),
}
"""Method, path below the line-up, and what of the argument is in the path."""


def is_request(event: str) -> bool:
    """Whether a command can be given over HTTP; some others are addressed by ids there."""
    return event in _PATHS


def path(slug: str) -> str:
    """Return the path of a line-up."""
    return f"/api/v1/retreat/{quote(slug)}/line-up"


@dataclass(frozen=True, slots=True)
class Request:
    """A request."""

    method: str
    path: str
    """With its query."""
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def write(slug: str, event: str, argument: Json, *, headers: bool) -> Request:
    """Return the request that a command is.

    :param headers: whether its id and base revision are in these.
    """
    method, template, target = _PATHS[event]
    body = dict(argument)
    filled = path(slug) + (template if target is None else template.format(body.pop(target)))
    fields = {}
    if headers and "commandId" in body and event != CommandEvent.UNDO:
        fields["Idempotency-Key"] = body.pop("commandId")
    if headers and "baseRevision" in body:
        fields["If-Match"] = f'"{body.pop("baseRevision")}"'
    return Request(method, filled, body, fields)


def read(slug: str, since: int | None, epoch: str | None) -> str:
    """Return the path of a read, with its query."""
    query = {"since": since, "epoch": epoch}
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path(slug)}/user-lineups?{urlencode(given)}".rstrip("?")


def ack(reply: HttpReply) -> Json:
    """Return a response in the form of an ack."""
    body = reply.json()
    if not reply.ok:
        return {"status": "ERROR", **body}
    if "userRetreatGbsLineups" in body:
        return {"status": "OK", "data": body.pop("userRetreatGbsLineups"), **body}
    return {"status": "OK", "data": body, "revision": body["revision"]}
