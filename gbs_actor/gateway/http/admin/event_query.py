"""Which operator events a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import Headers, MultiDict

from gbs_actor.contract.decoding import MAX_SLUG_LENGTH, InvalidPayload
from gbs_actor.gateway.http.admin.query import limit_of, number
from gbs_actor.gateway.http.preconditions import single
from gbs_actor.lineup.rules import LAST_ID
from gbs_actor.observability import EventFilter, visible

DEFAULT_LIMIT: Final = 100
AFTER: Final = "([A-Za-z0-9_]{1,20}-)?[0-9]{1,15}"
"""A number, or the id of an event in a stream, which names the run as well."""
KINDS: Final = "[a-z_.]{1,50}(,[a-z_.]{1,50}){0,19}"
"""What kinds begin with."""
LAST_EVENT_ID: Final = "Last-Event-ID"


@dataclass(frozen=True, slots=True)
class EventQuery:
    """The query of a request for events."""

    after: int | None
    """The number of the last event that the reader has; ``None``: it has none."""
    run: str | None
    """The run that number belongs to; ``None``: the reader has seen to it."""
    wanted: EventFilter
    limit: int

    @classmethod
    def of(cls, arguments: MultiDict[str, str], headers: Headers | None = None) -> EventQuery:
        """Return the query of a request.

        :param headers: of a request for a stream: ``Last-Event-ID`` counts, if it is there.
        :raises InvalidPayload: a field is not what it may be, or is given more than once.
        """
        name, position = "after", single("after", arguments)
        if headers is not None and LAST_EVENT_ID in headers:
            name, position = LAST_EVENT_ID, single(LAST_EVENT_ID, headers)
        after, run = None, None
        if position is not None:
            if not re.fullmatch(AFTER, position):
                raise InvalidPayload(name, f"{name} must be a number, or the id of an event.")
            run, _, last = position.rpartition("-")
            after = int(last)
        limit = limit_of(arguments, default=DEFAULT_LIMIT)
        return cls(after, run or None, _wanted(arguments), limit)

    def after_in(self, run: str) -> int | None:
        """Return the number of the last event of a run that the reader has; 0: of another run."""
        return self.after if self.run in (None, run) else 0


def _wanted(arguments: MultiDict[str, str]) -> EventFilter:
    kinds, room = single("kind", arguments), single("room", arguments)
    if kinds is not None and not re.fullmatch(KINDS, kinds):
        raise InvalidPayload("kind", "kind must be such as room. or room.crashed,limit.hit.")
    if room is not None and len(room) > MAX_SLUG_LENGTH:
        raise InvalidPayload("room", f"room must have at most {MAX_SLUG_LENGTH} characters.")
    return EventFilter(
        kinds=("",) if kinds is None else tuple(kinds.split(",")),
        room=None if room is None else visible(room),
        user_id=number("user", arguments, 1, LAST_ID),
    )
