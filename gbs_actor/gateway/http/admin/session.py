"""``/admin/session``: a browser's session, in place of a Bearer token."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from quart import Blueprint, Response, request

from gbs_actor.auth import auth_required
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.environment import Environment
from gbs_actor.gateway.http.admin.forwarding import Forwarding
from gbs_actor.gateway.http.admin.identity import (
    ADMIN_PATH,
    SESSION_COOKIE,
    AdminIdentity,
    Operator,
)
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.nodes import Nodes


class OperatorSession(msgspec.Struct, frozen=True, rename="camel"):
    """Who uses ``/admin``, and what their page has to send."""

    user_id: int | None
    """null: whoever has the operator token."""
    name: str
    role: str | None
    retreats: list[str] | None
    """Those whose rooms are shown; null: all of them, and the whole server."""
    expires_at: datetime | None
    csrf_token: str | None
    """For the header X-CSRF-Token of POST and DELETE; null: no session."""
    node: str | None
    """The server that is asked; null: it is the only one."""
    nodes: tuple[str, ...]
    """All servers that are there, by name; empty: there is only one."""


class EndedSession(msgspec.Struct, frozen=True):
    """Where the session may go on."""

    missing: tuple[str, ...]
    """Servers that have not answered: there its cookie may be valid until it expires."""


def admin_session(
    identity: AdminIdentity, nodes: Nodes, forwarding: Forwarding, environment: Environment
) -> Blueprint:
    """Return the routes that begin, show and end a session."""
    blueprint = Blueprint("admin_session", __name__, url_prefix=ADMIN_PATH)

    @blueprint.post("/session")
    async def begin() -> Response:
        operator = identity.require(request)
        if operator.session is not None:
            raise auth_required()  # no session makes another one, which would outlive the token
        try:
            cookie, session = identity.sessions.begin(operator.user)
        except ValueError:
            raise InvalidPayload(
                "retreats", "The token names too many retreats for a cookie; use it as Bearer."
            ) from None
        csrf_token = identity.sessions.csrf_token(cookie)
        response = shown(Operator(session.user, session, csrf_token))
        seconds_left = int(identity.sessions.seconds_left(session))
        _set_cookie(response, cookie, seconds_left, environment.wall())
        return response

    @blueprint.get("/session")
    async def show() -> Response:
        return shown(identity.require(request))

    @blueprint.delete("/session")
    async def end() -> Response:
        operator = identity.require(request)
        missing: tuple[str, ...] = ()
        if operator.session is not None:
            part = await forwarding.part(request, operator)
            identity.sessions.end(operator.session)
            others = await forwarding.act_on_others(part)
            missing = tuple(
                name for name, each in others.items() if each is None or each.status != 204
            )
        if missing:
            response = fresh_response(EndedSession(missing))
        else:
            response = Response(b"", status=204)
            del response.headers["Content-Type"]
        _set_cookie(response, "", 0, environment.wall())
        response.headers["Cache-Control"] = "no-store"
        return response

    def shown(operator: Operator) -> Response:
        user, expires_at = operator.user, operator.expires_at
        body = OperatorSession(
            user_id=operator.user_id,
            name="" if user is None else user.name,
            role=None if user is None else user.role,
            retreats=None if user is None or user.retreats is None else sorted(user.retreats),
            expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
            csrf_token=operator.csrf_token,
            node=nodes.name,
            nodes=nodes.names(),
        )
        return fresh_response(body)

    return blueprint


def _set_cookie(response: Response, value: str, max_age: int, now: float) -> None:
    """Set the cookie, for ``/admin`` only.

    :param max_age: seconds; 0 removes it.
    :param now: Unix time in seconds.
    """
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=max_age,
        expires=now + max_age,
        path=ADMIN_PATH,
        secure=request.scheme == "https",
        httponly=True,
        samesite="Strict",
    )
