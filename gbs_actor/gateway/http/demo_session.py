"""``/demo/session``: in the demo a page is let in by one click, as one of a few made-up people.

The windows of a browser share its cookies. So the first person gets the cookie, with which all
windows begin; for another one the page of a window keeps the token of the response in its
``sessionStorage`` and sends it as ``Authorization: Bearer`` and in the CONNECT payload, which both
count before the cookie. That lasts over a reload; a new window begins as the first person again.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from gbs_actor.auth import forbidden, mint
from gbs_actor.contract.decoding import decode
from gbs_actor.demo import DEMO_PEOPLE, DEMO_TOKEN_TIME
from gbs_actor.environment import Environment
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.identity import from_own_page
from gbs_actor.settings import AuthSettings


class DemoEntry(msgspec.Struct, frozen=True):
    """As whom somebody wants to be let in."""

    person: Annotated[int, Meta(ge=1, le=len(DEMO_PEOPLE))]
    """Their number, from 1."""


class DemoSession(msgspec.Struct, frozen=True, rename="camel"):
    """As whom somebody was let in."""

    token: str
    user_id: int
    name: str


_decoder: Final = msgspec.json.Decoder(DemoEntry)


def demo_session(settings: AuthSettings, environment: Environment) -> Blueprint:
    """Return the route. It lets everybody in who reaches the server: for the demo only.

    :param settings: with a secret to sign with.
    """
    blueprint = Blueprint("demo_session", __name__)
    assert settings.jwt_secret is not None
    secret = settings.jwt_secret.get_secret_value()

    @blueprint.post("/demo/session")
    async def enter() -> Response:
        # A page of another origin can send no JSON without a preflight, which gets no permission.
        if not from_own_page(request):
            raise forbidden()
        if not request.is_json:
            raise UnsupportedMediaType
        raw: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        number = decode(raw, _decoder).person
        person = DEMO_PEOPLE[number - 1]
        token = mint(
            secret,
            user_id=person.user_id,
            role=person.role,
            name=person.name,
            expires_in=DEMO_TOKEN_TIME,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            now=environment.wall(),
        )
        response = fresh_response(DemoSession(token, person.user_id, person.name))
        if number == 1:
            response.set_cookie(
                settings.cookie_name,
                token,
                max_age=DEMO_TOKEN_TIME,
                expires=environment.wall() + DEMO_TOKEN_TIME,
                secure=request.scheme == "https",
                httponly=True,
                samesite="Lax",
            )
        return response

    return blueprint
