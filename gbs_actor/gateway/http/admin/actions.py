"""Actions of operators on rooms, on clients, and on the server as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec
import trio
from quart import Blueprint, Response, request

from gbs_actor.contract.decoding import one_id
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.http.admin.acting import (
    ActionBody,
    ActionRequest,
    ActionResult,
    KickResult,
    RoomActionResult,
)
from gbs_actor.gateway.http.admin.audit import Audit
from gbs_actor.gateway.http.admin.forwarding import Forwarding
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.nodes.request import ForwardedResponse
from gbs_actor.rooms import RoomAction
from gbs_actor.store.audit import Outcome

_body: Final = msgspec.json.Decoder(ActionBody)
_result: Final = msgspec.json.Decoder(KickResult)


def merged(result: KickResult, others: Mapping[str, ForwardedResponse | None]) -> KickResult:
    """Return the result of a kick on this server and on others.

    :param others: their responses, by name; ``None``: there was none.
    """
    messages, sessions, missing = [result.message] if result.changed else [], result.sessions, []
    for node, response in others.items():
        other = None if response is None else response.decoded(_result)
        if other is None:
            missing.append(node)
            continue
        sessions += other.sessions
        if other.changed:
            messages.append(f"Server {node}: {other.message}")
    if missing:
        messages.append(f"Not answered: {', '.join(missing)}.")
    return KickResult(
        changed=sessions > 0,
        dry_run=result.dry_run,
        message=" ".join(messages) or result.message,
        sessions=sessions,
        missing=tuple(missing),
    )


class ActOnRoom(Protocol):
    """A method of :class:`~gbs_actor.rooms.RoomActions`."""

    async def __call__(self, slug: str, *, dry_run: bool) -> RoomAction:
        """Act on a room, or say what that would do."""
        ...


def admin_actions(
    services: Services, identity: AdminIdentity, audit: Audit, forwarding: Forwarding
) -> Blueprint:
    """Return the routes of the actions.

    On a room, and on a session in it, may act who is an operator of its retreat; on everything
    else who is one of the whole server. Each is recorded in the audit.
    """
    blueprint = Blueprint("admin_actions", __name__, url_prefix=ADMIN_PATH)
    rooms, clients = services.rooms.actions, services.clients
    drain = partial(rooms.drain, spread=services.settings.server.drain_spread)

    @blueprint.post("/rooms/<slug>/restart")
    async def restart_room(slug: str) -> Response:
        return await _act_on(slug, "room.restart", rooms.restart)

    @blueprint.post("/rooms/<slug>/recover")
    async def recover_room(slug: str) -> Response:
        return await _act_on(slug, "room.recover", rooms.recover)

    @blueprint.post("/rooms/<slug>/stop")
    async def stop_room(slug: str) -> Response:
        return await _act_on(slug, "room.stop", rooms.stop)

    @blueprint.post("/rooms/<slug>/drain")
    async def drain_room(slug: str) -> Response:
        return await _act_on(slug, "room.drain", drain)

    async def _act_on(slug: str, action: str, act: ActOnRoom) -> Response:
        operator = await identity.require_in(request, slug)
        asked = await ActionRequest.read(request, operator, _body)
        # It takes seconds. It is in the audit even if a shutdown cuts the request off.
        with trio.CancelScope(shield=True):
            outcome = await act(slug, dry_run=asked.dry_run)
        result = RoomActionResult(
            changed=outcome.changed,
            dry_run=asked.dry_run,
            message=outcome.message,
            room=outcome.room,
        )
        return asked.respond(audit, result, action, slug)

    @blueprint.post("/sessions/<sid>/kick")
    async def kick_session(sid: str) -> Response:
        operator = identity.require(request)
        asked = await ActionRequest.read(request, operator, _body)
        part = await forwarding.part(request, operator)
        client = clients.find(sid)
        # Who may not see a session is answered as if there were none.
        hidden = client is not None and not await identity.reaches(
            operator, client.subscriber.room_slug
        )
        found = [] if client is None or hidden else [client]
        result = _kick(found, dry_run=asked.dry_run)
        outcome: Outcome | None = "refused" if hidden else None
        # One that can be resumed may have been, elsewhere: what is here is a dead connection then.
        if client is None or (client.session is not None and not hidden):
            result = merged(result, await forwarding.act_on_others(part))
        return asked.respond(audit, result, "session.kick", sid, outcome=outcome)

    @blueprint.post("/users/<user_id>/kick")
    async def kick_user(user_id: str) -> Response:
        operator = identity.require_unrestricted(request)
        asked = await ActionRequest.read(request, operator, _body)
        part = await forwarding.part(request, operator)
        result = _kick(clients.of_user(one_id(("userId", user_id))), dry_run=asked.dry_run)
        result = merged(result, await forwarding.act_on_others(part))
        return asked.respond(audit, result, "user.kick", user_id)

    def _kick(found: Sequence[Client], *, dry_run: bool) -> KickResult:
        connected = [client for client in found if not client.subscriber.closed]
        if not dry_run:
            for client in connected:
                clients.kick(client)
        if not connected:
            message = "There is no such client."
        else:
            names = ", ".join(sorted({client.author.name for client in connected}))
            message = f"Disconnected for good: {names}."
        return KickResult(
            changed=bool(connected), dry_run=dry_run, message=message, sessions=len(connected)
        )

    @blueprint.post("/drain")
    async def drain_server() -> Response:
        operator = identity.require_unrestricted(request)
        asked = await ActionRequest.read(request, operator, _body)
        stopping = services.draining()
        result = ActionResult(
            changed=not stopping,
            dry_run=asked.dry_run,
            message="The server is stopping already." if stopping else "The server stops.",
        )
        response = asked.respond(audit, result, "server.drain")
        if not (asked.dry_run or stopping):
            services.shut_down()
        return response

    return blueprint
