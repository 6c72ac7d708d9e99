"""The demo lets people in by one click: here, and nowhere else."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import jwt
import pytest

from gbs_actor.demo import DEMO_PEOPLE, DEMO_TOKEN_TIME
from gbs_actor.settings import Settings
from gbs_actor.testing import HttpReply
from tests.gateway.admin_site import OWN
from tests.gateway.serving import NOW, SECRET, World, settings_with, world

PATH = "/demo/session"
JSON = {"Content-Type": "application/json"}


def demo_settings(**auth: Any) -> Settings:
    return settings_with(jwt_secret=SECRET, **auth)


async def enter(here: World, raw: bytes, headers: dict[str, str] | None = None) -> HttpReply:
    return await here.server.http("POST", PATH, user=None, headers=JSON | (headers or {}), body=raw)


async def user_of(here: World, headers: dict[str, str]) -> Any:
    return (await here.get("/api/v1/retreats", headers)).json()["user"]


async def test_each_person_gets_a_token_of_their_own() -> None:
    async with world(demo_settings(), demo_sign_in=True) as here:
        for number, person in enumerate(DEMO_PEOPLE, 1):
            response = await enter(here, b'{"person": %d}' % number)
            assert response.status == 200
            assert response.headers["Cache-Control"] == "no-store"
            session = response.json()
            assert (session["userId"], session["name"]) == (person.user_id, person.name)
            user = await user_of(here, {"Authorization": f"Bearer {session['token']}"})
            assert (user["userId"], user["role"]) == (person.user_id, person.role)


async def test_the_first_person_has_the_cookie_and_the_others_a_token_of_the_window() -> None:
    async with world(demo_settings(), demo_sign_in=True) as here:
        (field,) = (await enter(here, b'{"person": 1}')).headers.get_all("Set-Cookie")
        cookie = SimpleCookie(field)["accessToken"]
        assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/", "Lax", True)
        assert cookie["secure"] == ""  # over plain HTTP
        second = await enter(here, b'{"person": 2}')
        assert "Set-Cookie" not in second.headers
        # Two windows of one browser: both send the cookie.
        sent = {"Cookie": f"accessToken={cookie.value}"}
        assert (await user_of(here, sent))["name"] == DEMO_PEOPLE[0].name
        sent["Authorization"] = f"Bearer {second.json()['token']}"
        assert (await user_of(here, sent))["name"] == DEMO_PEOPLE[1].name


async def test_one_of_them_only_reads() -> None:
    async with world(demo_settings(), demo_sign_in=True) as here:
        edits = []
        for number in range(1, len(DEMO_PEOPLE) + 1):
            session = (await enter(here, b'{"person": %d}' % number)).json()
            bearer = {"Authorization": f"Bearer {session['token']}"}
            listed = (await here.get("/api/v1/retreats", bearer)).json()["retreats"]
            edits.append(listed[0]["canEdit"])
        assert edits == [True, True, False]


async def test_the_token_has_the_issuer_and_audience_and_the_cookie_the_name_of_the_settings() -> (
    None
):
    settings = demo_settings(jwt_issuer="me", jwt_audience="you", cookie_name="session")
    async with world(settings, demo_sign_in=True) as here:
        response = await enter(here, b'{"person": 1}')
        assert response.headers["Set-Cookie"].startswith("session=")
        token = response.json()["token"]
        claims = jwt.decode(
            token,
            SECRET,
            algorithms=["HS256"],
            issuer="me",
            audience="you",
            options={"verify_exp": False},  # by the clock of this machine
        )
        assert claims["userId"] == DEMO_PEOPLE[0].user_id
        assert NOW <= claims["iat"] < NOW + 3_600  # by that of the server
        assert claims["exp"] == claims["iat"] + DEMO_TOKEN_TIME


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"{}", b'{"person": 0}', b'{"person": 4}', b'{"person": "1"}', b"\xff"],
)
async def test_bad_requests_let_nobody_in(raw: bytes) -> None:
    async with world(demo_settings(), demo_sign_in=True) as here:
        response = await enter(here, raw)
        assert (response.status, response.json()["code"]) == (400, "VALIDATION_FAILED")
        assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": OWN}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://page.example"}, 403),  # allowed to use the API, not to sign in
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
async def test_a_page_of_another_origin_signs_nobody_in(
    headers: dict[str, str], status: int
) -> None:
    async with world(demo_settings(), demo_sign_in=True) as here:
        response = await enter(here, b'{"person": 1}', headers)
        assert response.status == status
        assert ("Set-Cookie" in response.headers) == (status == 200)


@pytest.mark.parametrize("settings", [demo_settings(), settings_with(serve_page=False)])
async def test_outside_the_demo_there_is_nothing(settings: Settings) -> None:
    async with world(settings) as here:
        assert (await enter(here, b'{"person": 1}')).status == 404
