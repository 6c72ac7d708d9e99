"""What no JSON Schema can say of a request, made so for each request before it is sent.

Loaded by the Schemathesis process. Only values that are good in themselves are touched: a
command id must not have been used for another command, a base revision must not lie ahead
of the room's, nor a moment that is asked for, and what stands in the header and in the body must
be the same. A bulk edit must not name a person twice, and two numbers of new groups must not be
too far apart. What the generator made wrong on purpose stays wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import schemathesis

REVISIONS = 3
"""Revisions that the room surely has by then; those lower than the newest make conflicts."""

_NAMESPACE = UUID("5f0c7f0e-6f2b-4d3e-9f0a-1d1c0f3f8a11")
_numbers = count()


@dataclass(frozen=True)
class Twin:
    """Something that a request may say in a header, in its body, or in both."""

    header: str
    field: str
    pattern: re.Pattern[str]
    """What is good in itself."""
    better: Callable[[str], str | int]
    """From what is good in itself to what is good for the room."""

    def put_right(self, headers: Any, body: dict[str, Any]) -> None:
        in_header, in_body = str(headers.get(self.header)).strip('"'), str(body.get(self.field))
        for given in (in_header, in_body):
            if self.pattern.fullmatch(given):
                value = self.better(given)
                break
        else:
            return
        if self.pattern.fullmatch(in_header):
            headers[self.header] = headers[self.header].replace(in_header, str(value))
        if self.pattern.fullmatch(in_body):
            body[self.field] = value


def _fresh_id(_: str) -> str:
    return str(uuid5(_NAMESPACE, str(next(_numbers))))


def _old_revision(text: str) -> int:
    return int(float(text)) % REVISIONS


TWINS = (
    Twin(
        "Idempotency-Key",
        "commandId",
        re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
        _fresh_id,
    ),
    Twin(
        "If-Match",
        "baseRevision",
        re.compile(r"([0-9]{1,18}|[1-8][0-9]{18}|9223372036854775[0-9]{3})(\.0)?"),
        _old_revision,
    ),
)


UNDO_TWINS = (Twin("Idempotency-Key", "idempotencyKey", TWINS[0].pattern, _fresh_id), TWINS[1])
"""Those of an undo, where ``commandId`` is that of another command."""
_REVISION = TWINS[1].pattern
_UNKNOWN = 1_000_000
"""No registration has this id, or a higher one."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt].*")
_YEAR_ZERO = "0000-"
_GROUP_NUMBER = re.compile(r"[1-9][0-9]{0,3}(\.0)?")


def _put_moment_right(query: dict[str, Any]) -> None:
    """Ask for a moment that was, and for nothing else with it."""
    at = str(query.get("at"))
    if _REVISION.fullmatch(at):
        query["at"] = _old_revision(at)
    elif _TIME.fullmatch(at):
        query["at"] = at.replace(_YEAR_ZERO, "2000-", 1) if at.startswith(_YEAR_ZERO) else at
    else:
        return
    if _REVISION.fullmatch(str(query.get("since"))):
        del query["since"]
    if isinstance(epoch := query.get("epoch"), str) and "\0" not in epoch and len(epoch) <= 200:
        del query["epoch"]


def _put_items_right(body: dict[str, Any]) -> None:
    items = body.get("assignments")
    seen = set()
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            continue
        person = str(item.get("userRetreatRegistrationId"))
        if person in seen and _REVISION.fullmatch(person):
            item["userRetreatRegistrationId"] = _UNKNOWN + index
        seen.add(person)
        if _REVISION.fullmatch(str(item.get("baseRevision"))):
            item["baseRevision"] = _old_revision(str(item["baseRevision"]))
    numbers = body.get("gbsNumbers")
    if (
        isinstance(numbers, list)
        and len(numbers) == 2
        and all(_GROUP_NUMBER.fullmatch(str(each)) for each in numbers)
    ):
        body["gbsNumbers"] = [numbers[0], numbers[0]]


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]
) -> None:
    body = case.body if isinstance(case.body, dict) else {}
    for twin in UNDO_TWINS if case.path.endswith("/undo") else TWINS:
        twin.put_right(case.headers, body)
    _put_items_right(body)
    if isinstance(case.query, dict):
        _put_moment_right(case.query)
