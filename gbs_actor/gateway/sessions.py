"""The sessions of clients, as operators see them: which match, in which order, and one as a whole.

The list asks a client for no more than the figures that decide: with ten thousand of them only
those on the page are summed up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec
import trio

from gbs_actor.gateway.client import Client

_STEP: Final = 250
"""Clients that are looked at before other tasks run."""


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A client's session at one moment. Times are seconds."""

    sid: str
    """Names it here and in the log; no secret."""
    protocol: str | None
    """``socket.io``, or ``websocket`` for plain WebSockets."""
    transport: str | None
    """``websocket`` or ``polling``."""
    user_id: int
    user_name: str
    room: str | None
    """The slug; ``None``: it is in none."""
    address: str | None
    """The client's IP address; ``None``: it has none."""
    connected_for: float
    queued: int
    """Messages that wait."""
    queued_bytes: int
    behind_for: float
    """Since the connection last had nothing waiting; 0 if nothing waits."""
    conflated: int
    """Waiting row updates that a newer state of the same row has replaced."""
    lag: int | None
    """Revisions its room is ahead of what it was handed; ``None`` outside of rooms."""
    round_trip: float | None
    """From the last ping to its pong; ``None``: there was none yet."""
    traced: bool
    node: str | None = None
    """The server that it is on; ``None``: there is only one."""


class SessionDetails(Session, frozen=True, kw_only=True, rename="camel"):
    """A client's session as a whole."""

    role: str
    """In its room, or else that of the token."""
    user_agent: str | None
    token_expires_at: float | None
    """Unix time in seconds; ``None``: never."""
    sent_revision: int | None
    """The revision up to which its room has handed it everything; ``None`` outside of rooms."""
    sent_messages: int
    sent_bytes: int
    received_events: int
    under_way: int
    """Commands and marks without a reply."""
    event_rate_wait: float
    """Until it may send an event again; 0: it may now."""


class SessionPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some of the sessions, in the order that was asked for."""

    total: int
    """All that match."""
    sessions: tuple[Session, ...]
    missing: tuple[str, ...] = ()
    """Servers that have not answered: theirs are left out."""


def _lag(client: Client) -> int:
    return -1 if client.subscriber.room is None else client.subscriber.lag


def _round_trip(client: Client) -> float:
    round_trip = client.peer.round_trip
    return -1.0 if round_trip is None else round_trip


SORT_KEYS: Final[dict[str, Callable[[Client], Any]]] = {
    "queuedBytes": attrgetter("peer.outbox.unsent_bytes"),
    "lag": _lag,
    "roundTrip": _round_trip,
    # What is subtracted from is the same for all.
    "connectedFor": lambda client: -client.subscriber.connected_at,
    "user": attrgetter("author.name"),
    "sid": attrgetter("sid"),
}
"""What sessions can be sorted by, named as in the JSON of a :class:`Session`."""
_KEYS_OF_SESSIONS: Final[dict[str, Callable[[Session], Any]]] = {
    "queuedBytes": attrgetter("queued_bytes"),
    "lag": lambda session: -1 if session.lag is None else session.lag,
    "roundTrip": lambda session: -1.0 if session.round_trip is None else session.round_trip,
    "connectedFor": attrgetter("connected_for"),
    "user": attrgetter("user_name"),
    "sid": attrgetter("sid"),
}
"""The same, of a session that is summed up."""


async def session_page(
    clients: Iterable[Client],
    matches: Callable[[Client], bool],
    sort: str,
    *,
    descending: bool,
    offset: int,
    limit: int,
    is_traced: Callable[[Client], bool],
    node: str | None = None,
) -> SessionPage:
    """Return the sessions of some clients.

    Other tasks run meanwhile, so the figures are of slightly different moments.

    :param clients: in the order of connecting, which is that of those equal in the key.
    :param sort: a key of :data:`SORT_KEYS`.
    :param offset: sessions before the first one.
    :param limit: sessions at most.
    :param node: the server that they are on.
    """
    key, found = SORT_KEYS[sort], []
    for number, client in enumerate(tuple(clients), 1):
        if matches(client):
            found.append((key(client), client))
        if number % _STEP == 0:
            await trio.lowlevel.checkpoint()
    found.sort(key=itemgetter(0), reverse=descending)
    page = found[offset : offset + limit]
    sessions = [session_of(client, traced=is_traced(client), node=node) for _, client in page]
    return SessionPage(len(found), tuple(sessions))


def merged(
    pages: Iterable[SessionPage],
    sort: str,
    *,
    descending: bool,
    offset: int,
    limit: int,
    missing: Collection[str],
) -> SessionPage:
    """Return some of the sessions of several servers.

    :param pages: of each server the first ``offset + limit``, in the order that is asked for.
    :param missing: the servers without a page.
    """
    pages = tuple(pages)
    sessions = [session for page in pages for session in page.sessions]
    sessions.sort(key=_KEYS_OF_SESSIONS[sort], reverse=descending)
    total = sum(page.total for page in pages)
    return SessionPage(total, tuple(sessions[offset : offset + limit]), tuple(missing))


def is_found(client: Client, search: str) -> bool:
    """Return whether a text is part of a client's name, user id, sid or address.

    :param search: casefolded.
    """
    texts = (client.author.name, str(client.user.user_id), client.sid, client.peer.address or "")
    return search in "\n".join(texts).casefold()


def session_of(client: Client, *, traced: bool, node: str | None = None) -> Session:
    """Return a client's session as it is now."""
    return Session(**_figures(client, traced=traced, node=node))


def details_of(client: Client, *, traced: bool, node: str | None = None) -> SessionDetails:
    """Return a client's session as it is now, as a whole."""
    outbox = client.peer.outbox
    return SessionDetails(
        **_figures(client, traced=traced, node=node),
        role=client.role,
        user_agent=client.peer.user_agent,
        token_expires_at=client.user.expires_at,
        sent_revision=client.revision,
        sent_messages=outbox.sent_messages,
        sent_bytes=outbox.sent_bytes,
        received_events=client.events,
        under_way=client.subscriber.in_flight,
        event_rate_wait=client.bucket.wait(trio.current_time()),
    )


def _figures(client: Client, *, traced: bool, node: str | None) -> dict[str, Any]:
    peer, subscriber = client.peer, client.subscriber
    sink = peer.statistics()
    return {
        "sid": client.sid,
        "protocol": sink.protocol,
        "transport": sink.transport,
        "user_id": client.user.user_id,
        "user_name": client.author.name,
        "room": subscriber.room_slug,
        "address": peer.address,
        "connected_for": trio.current_time() - subscriber.connected_at,
        "queued": sink.queued,
        "queued_bytes": sink.queued_bytes,
        "behind_for": sink.behind_for,
        "conflated": sink.conflated,
        "lag": None if subscriber.room is None else subscriber.lag,
        "round_trip": sink.round_trip,
        "traced": traced,
        "node": node,
    }
