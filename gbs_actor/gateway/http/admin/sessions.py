"""``/admin/sessions`` and ``/admin/closed``: who is connected, and who is not any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from quart import Blueprint, Response, request

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.closed_sessions import (
    ClosedSession,
    ClosedSessionsStatistics,
)
from gbs_actor.gateway.http.admin.audit import Audit
from gbs_actor.gateway.http.admin.forwarding import Forwarding
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity, Operator
from gbs_actor.gateway.http.admin.query import MAX_LIMIT
from gbs_actor.gateway.http.admin.responses import encoded_response, fresh_response
from gbs_actor.gateway.http.admin.session_query import ClosedQuery, SessionQuery
from gbs_actor.gateway.http.admin.shared import SharedJson
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.replies import Failure
from gbs_actor.gateway.sessions import SessionPage, details_of, merged, session_page
from gbs_actor.lineup.codes import Code

_SHARE: Final = 0.005
"""To find the first of ten thousand sessions, all of them are looked at: it takes 25 ms."""
_page: Final = msgspec.json.Decoder(SessionPage)
_GONE: Final = Failure.because(Code.NOT_FOUND, "There is no such session; look among the closed.")


class ClosedPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some of the last sessions that have ended and clients that were refused, newest first."""

    total: int
    """All that match."""
    closed: tuple[ClosedSession, ...]
    counts: ClosedSessionsStatistics | None
    """Of the whole server; null: the operator does not see all of it."""


def admin_sessions(
    services: Services, identity: AdminIdentity, audit: Audit, forwarding: Forwarding
) -> Blueprint:
    """Return the routes about sessions.

    An operator sees the sessions in rooms of those retreats in which they are one; who is an
    operator of the whole server also sees those that are in no room.
    """
    clients, closed, rooms = services.clients, services.closed_sessions, services.rooms
    nodes, node = services.nodes, services.nodes.name
    pages = SharedJson(services.environment.thread_time, share=_SHARE)
    blueprint = Blueprint("admin_sessions", __name__, url_prefix=ADMIN_PATH)

    async def shown_rooms(operator: Operator, slugs: Iterable[str | None]) -> frozenset[str | None]:
        """Return those of some rooms in which an operator sees who is there; ``None``: no room."""
        named = [slug for slug in slugs if slug is not None]
        shown: frozenset[str | None] = await identity.shown_to(operator, named)
        return shown | {None} if operator.unrestricted else shown

    @blueprint.get("/sessions")
    async def some_sessions() -> Response:
        operator = identity.require(request)
        query = SessionQuery.of(request.args)
        audit.look(operator, request, "sessions", query.room)
        shown = await shown_rooms(operator, (None, *rooms.matching()))

        def matches(client: Client) -> bool:
            return client.subscriber.room_slug in shown and query.matches(client)

        async def some(offset: int, limit: int) -> SessionPage:
            return await session_page(
                clients.connected,
                matches,
                query.sort,
                descending=query.descending,
                offset=offset,
                limit=limit,
                is_traced=clients.traces.covers,
                node=node,
            )

        async def page() -> SessionPage:
            return await some(query.offset, query.limit)

        async def page_of_all() -> SessionPage:
            first = query.offset + query.limit
            if first > MAX_LIMIT:
                raise InvalidPayload(
                    "offset",
                    f"Of several servers only the first {MAX_LIMIT} are shown; give a node.",
                )
            part = await forwarding.part(request, operator, offset=0, limit=first)
            others = await forwarding.read_from_others(part)
            there = {
                name: None if response is None else response.decoded(_page)
                for name, response in others.items()
            }
            pages = [await some(0, first), *(each for each in there.values() if each is not None)]
            return merged(
                pages,
                query.sort,
                descending=query.descending,
                offset=query.offset,
                limit=query.limit,
                missing=[name for name, each in there.items() if each is None],
            )

        if not nodes.others() or operator.forwarded or "node" in request.args:
            return encoded_response(await pages.encoded((query, shown), page))
        # What others show depends on their rooms, and on the roles of this operator in them.
        key = (query, shown, operator.user)
        return encoded_response(await pages.encoded(key, page_of_all))

    @blueprint.get("/sessions/<sid>")
    async def session(sid: str) -> Response:
        operator = identity.require(request)
        client = clients.find(sid)
        if client is None:
            return failure_response(_GONE)
        room = client.subscriber.room_slug
        if room not in await shown_rooms(operator, {room}):
            return failure_response(_GONE)  # as if there were none
        audit.look(operator, request, "session", room)
        return fresh_response(details_of(client, traced=clients.traces.covers(client), node=node))

    @blueprint.get("/closed")
    async def some_closed() -> Response:
        operator = identity.require(request)
        query = ClosedQuery.of(request.args)
        audit.look(operator, request, "closed", None)
        found = closed.recent(
            search=query.search,
            user_id=query.user_id,
            address=query.address,
            reason=query.reason,
            accepted=query.accepted,
        )
        shown = await shown_rooms(operator, dict.fromkeys(each.room for each in found))
        found = [each for each in found if each.room in shown]
        page = found[query.offset : query.offset + query.limit]
        counts = closed.statistics() if operator.unrestricted else None
        return fresh_response(ClosedPage(len(found), tuple(page), counts))

    return blueprint
