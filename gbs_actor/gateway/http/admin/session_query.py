"""Which sessions, or closed ones, a request asks for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from werkzeug.datastructures import MultiDict

from gbs_actor.gateway.client import Client
from gbs_actor.gateway.http.admin.query import (
    number,
    one_of,
    page_bounds,
    sort_key,
    sorts,
    text,
)
from gbs_actor.gateway.sessions import SORT_KEYS, is_found
from gbs_actor.lineup.rules import LAST_ID

SORTS: Final = sorts(SORT_KEYS)
"""What sessions can be sorted by; with ``-`` the highest come first."""
DEFAULT_SORT: Final = "-queuedBytes"


class Protocol(StrEnum):
    """What a client speaks."""

    SOCKET_IO = "socket.io"
    WEBSOCKET = "websocket"


class Accepted(StrEnum):
    """Whether a session was accepted before it ended."""

    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """The query of a request for a list of sessions."""

    search: str
    """Part of the name, user id, sid or address; casefolded."""
    room: str | None
    """``None``: any, or none."""
    protocol: Protocol | None
    """``None``: any."""
    sort: str
    """A key of :data:`~gbs_actor.gateway.sessions.SORT_KEYS`."""
    descending: bool
    offset: int
    limit: int

    @classmethod
    def of(cls, arguments: MultiDict[str, str]) -> SessionQuery:
        """Return the query of a request.

        :raises InvalidPayload: a field is not what it may be, or is given more than once.
        """
        search = (text("search", arguments) or "").casefold()
        sort, descending = sort_key(arguments, SORT_KEYS, default=DEFAULT_SORT)
        offset, limit = page_bounds(arguments)
        return cls(
            search=search,
            room=text("room", arguments),
            protocol=one_of("protocol", arguments, Protocol),
            sort=sort,
            descending=descending,
            offset=offset,
            limit=limit,
        )

    def matches(self, client: Client) -> bool:
        """Return whether a client is asked for."""
        return (
            (self.room is None or client.subscriber.room_slug == self.room)
            and (self.protocol is None or client.peer.protocol == self.protocol)
            and (not self.search or is_found(client, self.search))
        )


@dataclass(frozen=True, slots=True)
class ClosedQuery:
    """The query of a request for closed sessions and refused clients."""

    search: str
    user_id: int | None
    address: str | None
    reason: str | None
    accepted: bool | None
    """``None``: both."""
    offset: int
    limit: int

    @classmethod
    def of(cls, arguments: MultiDict[str, str]) -> ClosedQuery:
        """Return the query of a request.

        :raises InvalidPayload: a field is not what it may be, or is given more than once.
        """
        accepted = one_of("accepted", arguments, Accepted)
        offset, limit = page_bounds(arguments)
        return cls(
            search=text("search", arguments) or "",
            user_id=number("userId", arguments, 1, LAST_ID),
            address=text("address", arguments),
            reason=text("reason", arguments),
            accepted=None if accepted is None else accepted is Accepted.TRUE,
            offset=offset,
            limit=limit,
        )
