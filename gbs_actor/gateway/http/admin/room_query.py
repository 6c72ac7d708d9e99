"""Which rooms a request asks for, and in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import MultiDict

from gbs_actor.contract.decoding import MAX_SLUG_LENGTH, InvalidPayload
from gbs_actor.gateway.http.preconditions import single
from gbs_actor.rooms import RoomState
from gbs_actor.rooms.listing import SORT_KEYS

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
"""Rooms of one page, at most."""
MAX_OFFSET: Final = 1_000_000
SORTS: Final = (*SORT_KEYS, *(f"-{key}" for key in SORT_KEYS))
"""What rooms can be sorted by; with ``-`` the highest come first."""

_NUMBER: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class RoomQuery:
    """The query of a request for a list of rooms."""

    state: RoomState | None
    """``None``: any."""
    search: str
    """Part of the slug, in whatever case."""
    sort: str
    """A key of :data:`~gbs_actor.rooms.listing.SORT_KEYS`."""
    descending: bool
    offset: int
    limit: int

    @classmethod
    def of(cls, arguments: MultiDict[str, str]) -> RoomQuery:
        """Return the query of a request.

        :raises InvalidPayload: a field is not what it may be, or is given more than once.
        """
        search = single("search", arguments) or ""
        if len(search) > MAX_SLUG_LENGTH:
            message = f"search must have at most {MAX_SLUG_LENGTH} characters."
            raise InvalidPayload("search", message)
        sort = single("sort", arguments)
        if sort is not None and sort not in SORTS:
            raise InvalidPayload(
                "sort", f"sort must be one of {', '.join(SORT_KEYS)}, or - and one."
            )
        sort = sort or "slug"
        return cls(
            state=_state(single("state", arguments)),
            search=search,
            sort=sort.removeprefix("-"),
            descending=sort.startswith("-"),
            offset=number("offset", arguments, 0, MAX_OFFSET, default=0),
            limit=number("limit", arguments, 1, MAX_LIMIT, default=DEFAULT_LIMIT),
        )


def _state(text: str | None) -> RoomState | None:
    if text is None:
        return None
    try:
        return RoomState(text)
    except ValueError:
        states = ", ".join(RoomState)
        raise InvalidPayload("state", f"state must be one of {states}.") from None


def number(
    name: str, arguments: MultiDict[str, str], lowest: int, highest: int, *, default: int
) -> int:
    """Return a number of a query.

    :raises InvalidPayload: it is none, is out of bounds, or is given more than once.
    """
    text = single(name, arguments)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
        raise InvalidPayload(name, f"{name} must be a number between {lowest} and {highest}.")
    return int(text)
