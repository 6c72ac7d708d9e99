"""Which rooms a request asks for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import MultiDict

from gbs_actor.gateway.http.admin.query import one_of, page_bounds, sort_key, sorts, text
from gbs_actor.rooms import RoomState, RoomSummary
from gbs_actor.rooms.listing import SORT_KEYS

SORTS: Final = sorts(SORT_KEYS)
"""What rooms can be sorted by; with ``-`` the highest come first."""


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
        search = text("search", arguments) or ""
        sort, descending = sort_key(arguments, SORT_KEYS, default="slug")
        offset, limit = page_bounds(arguments)
        return cls(
            state=one_of("state", arguments, RoomState),
            search=search,
            sort=sort,
            descending=descending,
            offset=offset,
            limit=limit,
        )

    def matches(self, room: RoomSummary) -> bool:
        """Return whether a room is asked for."""
        wanted = self.search.casefold()
        return self.state in (None, room.state) and wanted in room.slug.casefold()
