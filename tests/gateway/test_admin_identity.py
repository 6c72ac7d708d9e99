"""Who may use /admin, and who is refused there; asked of every operation that is described."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from trio.testing import wait_all_tasks_blocked
from websockets.datastructures import Headers

from gbs_actor.auth import Role
from gbs_actor.auth.admin_sessions import SESSION_TIME
from gbs_actor.gateway.http.openapi import describe
from gbs_actor.settings import Settings
from gbs_actor.store.audit import AuditQuery
from gbs_actor.testing import HttpReply
from tests.gateway.admin_site import OWN, Browser, ask, cookie_of
from tests.gateway.serving import LINEUPS, NOW, OTHER_SLUG, SLUG, settings_with, world

PROXY = "192.0.2.1"
ADMIN: dict[str, Any] = {"role": Role.ADMIN_MINISTER}
PAGE = "https://page.example"
"""An origin that the settings allow elsewhere."""
ADMIN_TOKEN = "3lWv0yGmJx8Qk2RzTn5BdHs7CfAeUp9L"

OPERATIONS = sorted(
    (method.upper(), path.replace("{slug}", SLUG).replace("{userId}", "7"))
    for path, methods in describe("accessToken")["paths"].items()
    if path.startswith("/admin")
    for method in methods
)
READS = [path for method, path in OPERATIONS if method == "GET"]
WRITES = [operation for operation in OPERATIONS if operation[0] != "GET"]
OPEN_TO_SOME = {
    "/admin/session",
    "/admin/rooms",
    "/admin/sessions",
    "/admin/sessions/{sid}",
    "/admin/sessions/{sid}/kick",
    "/admin/closed",
}
"""Shows or reaches what belongs to the retreats that a token is restricted to."""
EVERY_OPERATION = pytest.mark.parametrize(("method", "path"), OPERATIONS)
EVERY_WRITE = pytest.mark.parametrize(("method", "path"), WRITES)


def with_admin_token() -> Settings:
    return settings_with(admin_token=ADMIN_TOKEN)


def code(response: HttpReply) -> tuple[int, str]:
    return response.status, response.json()["code"]


# Who is refused


@EVERY_OPERATION
async def test_without_a_token_nothing_is_shown(method: str, path: str) -> None:
    async with world() as here:
        assert code(await ask(here, method, path)) == (401, "AUTH_REQUIRED")


@EVERY_OPERATION
async def test_the_cookie_of_the_line_up_counts_for_nothing(method: str, path: str) -> None:
    async with world(with_admin_token()) as here:
        for value in (here.token(**ADMIN), ADMIN_TOKEN):
            headers = {"Cookie": f"accessToken={value}", "Origin": OWN}
            response = await ask(here, method, path, headers)
            assert code(response) == (401, "AUTH_REQUIRED")


@EVERY_OPERATION
async def test_who_is_no_operator_is_refused(method: str, path: str) -> None:
    async with world() as here:
        response = await ask(here, method, path, here.bearer(role=Role.LINEUP_STAFF))
        assert code(response) == (403, "FORBIDDEN")


@EVERY_OPERATION
async def test_a_made_up_token_or_cookie_is_refused(method: str, path: str) -> None:
    async with world(with_admin_token()) as here:
        user = msgspec.to_builtins(here.services.verifier.verify(here.token(**ADMIN)))
        claims = {"id": "x", "user": user, "expires_at": NOW + 60}
        parts = (msgspec.json.encode(part) for part in ({"alg": "none"}, claims))
        unsigned = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
        wrong = ADMIN_TOKEN[:-1] + "M"
        for headers in (
            {"Authorization": f"Bearer {wrong}"},
            {"Authorization": f"Bearer {ADMIN_TOKEN}x"},
            {"Authorization": "Bearer \xe9\xff"},
            {"Cookie": f"adminSession={ADMIN_TOKEN}", "Origin": OWN},
            {"Cookie": f"adminSession={unsigned}", "Origin": OWN},
            {"Cookie": f"adminSession={here.token(**ADMIN)}", "Origin": OWN},
            {"Cookie": "adminSession=" + "x" * 5_000, "Origin": OWN},
        ):
            assert code(await ask(here, method, path, headers)) == (401, "INVALID_TOKEN")


@EVERY_OPERATION
async def test_a_session_does_not_outlive_its_token(method: str, path: str) -> None:
    async with world() as here:
        browser = await Browser.log_in(here, expires_in=3_600)
        here.server.wall.advance(3_500)
        assert (await browser.get("/admin/session")).status == 200
        here.server.wall.advance(100)
        response = await ask(here, method, path, browser.headers())
        assert code(response) == (401, "TOKEN_EXPIRED")


@pytest.mark.parametrize(
    ("method", "path"), [each for each in OPERATIONS if each[1] not in OPEN_TO_SOME]
)
async def test_a_token_for_other_retreats_opens_nothing_of_the_whole_server_or_a_room(
    method: str, path: str
) -> None:
    async with world() as here:
        bearer = here.bearer(**ADMIN, retreats=(OTHER_SLUG,))
        browser = await Browser.log_in(here, bearer)
        for headers in (bearer, browser.headers()):
            assert code(await ask(here, method, path, headers)) == (403, "FORBIDDEN")


@EVERY_OPERATION
async def test_the_audit_has_every_refusal(method: str, path: str) -> None:
    async with world() as here:
        await ask(here, method, path)
        await ask(here, method, path, here.bearer(role=Role.LINEUP_STAFF))
        await wait_all_tasks_blocked()
        records = await here.store.audit(AuditQuery(limit=10, action="access"))
        refused = ["FORBIDDEN", "AUTH_REQUIRED"]
        if (method, path) == ("GET", "/admin/session"):
            refused.pop()  # whether there is a session is asked by every page that is opened
        assert [(each.target, each.outcome, each.details) for each in records] == [
            (f"{method} {path}", "refused", code) for code in refused
        ]


async def test_a_session_of_some_retreats_shows_their_rooms_only() -> None:
    async with world() as here:
        for slug in (SLUG, OTHER_SLUG):
            await here.rows(f"/api/v1/retreat/{slug}/line-up/user-lineups")
        browser = await Browser.log_in(here, retreats=(SLUG,))
        rooms = (await browser.get("/admin/rooms")).json()["rooms"]
        assert [room["slug"] for room in rooms] == [SLUG]
        assert (await browser.get(f"/admin/rooms/{SLUG}")).status == 200
        assert code(await browser.get(f"/admin/rooms/{OTHER_SLUG}")) == (403, "FORBIDDEN")


async def test_a_grant_takes_the_room_away_from_an_open_session() -> None:
    async with world() as here:
        await here.rows()
        browser = await Browser.log_in(here, user_id=60)
        assert (await browser.get(f"/admin/rooms/{SLUG}")).status == 200
        here.store.grant(SLUG, 60, "NOBODY")
        here.services.authorizer.clear_cache()
        assert code(await browser.get(f"/admin/rooms/{SLUG}")) == (403, "FORBIDDEN")


async def test_requests_of_an_operator_are_limited_as_those_of_any_user() -> None:
    async with world(settings_with(user_rate=0.001, user_burst=2, admin_token=ADMIN_TOKEN)) as here:
        for bearer in (here.bearer(**ADMIN), {"Authorization": f"Bearer {ADMIN_TOKEN}"}):
            for _ in range(2):
                assert (await ask(here, "GET", "/admin/session", bearer)).status == 200
            response = await ask(here, "GET", "/admin/session", bearer)
            assert code(response) == (429, "RATE_LIMITED")


# Who is let in


@pytest.mark.parametrize("path", READS)
async def test_operators_are_shown_everything(path: str) -> None:
    async with world(with_admin_token()) as here:
        await here.rows()
        for bearer in (here.bearer(**ADMIN), {"Authorization": f"Bearer {ADMIN_TOKEN}"}):
            status = 404 if "{sid}" in path else 200
            assert (await ask(here, "GET", path, bearer)).status == status
            browser = await Browser.log_in(here, bearer)
            response = await browser.get(path)
            assert response.status == status
            assert response.headers["Cache-Control"] == "no-store"


async def test_a_session_says_whose_it_is() -> None:
    async with world(with_admin_token()) as here:
        browser = await Browser.log_in(here, retreats=(SLUG, OTHER_SLUG), email="kim@example.org")
        response = await browser.get("/admin/session")
        assert "kim@example.org" not in response.body.decode()
        assert response.json() == {
            "userId": 7,
            "name": "김하늘",
            "role": "ADMIN_MINISTER",
            "retreats": sorted((SLUG, OTHER_SLUG)),
            "expiresAt": "2023-11-14T23:13:20Z",
            "csrfToken": browser.csrf_token,
            "node": None,
            "nodes": [],
        }
        with_token = await Browser.log_in(here, {"Authorization": f"Bearer {ADMIN_TOKEN}"})
        shown = (await with_token.get("/admin/session")).json()
        assert (shown["userId"], shown["role"], shown["retreats"]) == (None, None, None)


async def test_a_session_lasts_twelve_hours_at_most() -> None:
    async with world() as here:
        browser = await Browser.log_in(here, expires_in=None)
        here.server.wall.advance(SESSION_TIME - 100)
        assert (await browser.get("/admin/session")).status == 200
        here.server.wall.advance(100)
        assert code(await browser.get("/admin/session")) == (401, "TOKEN_EXPIRED")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_cookie_is_for_admin_only_and_unreadable(scheme: str) -> None:
    async with world(settings_with(trusted_proxies=(PROXY,))) as here:
        headers = {**here.bearer(**ADMIN, expires_in=60), "X-Forwarded-Proto": scheme}
        response = await here.server.http(
            "POST", "/admin/session", user=None, headers=headers, address=PROXY
        )
        (field,) = response.headers.get_all("Set-Cookie")
        attributes = set(field.split("; ")[1:])
        (max_age,) = (each for each in attributes if each.startswith("Max-Age="))
        assert 50 < int(max_age.removeprefix("Max-Age=")) <= 60
        expected = {"HttpOnly", "SameSite=Strict", "Path=/admin"}
        assert expected <= attributes
        assert ("Secure" in attributes) == (scheme == "https")
        assert not any(each.startswith("Domain") for each in attributes)


async def test_the_cookie_opens_nothing_but_admin() -> None:
    async with world() as here:
        browser = await Browser.log_in(here)
        for headers in (
            {"Authorization": f"Bearer {browser.cookie}"},
            {"Cookie": f"accessToken={browser.cookie}"},
        ):
            assert (await here.get(LINEUPS, headers)).status == 401
        headers = {"Authorization": f"Bearer {browser.cookie}"}
        assert (await here.get("/admin/session", headers)).status == 401


async def test_too_many_retreats_for_a_cookie_are_refused_as_a_cookie_only() -> None:
    async with world() as here:
        bearer = here.bearer(**ADMIN, retreats=tuple(f"retreat-{n}" for n in range(400)))
        assert (await ask(here, "GET", "/admin/rooms", bearer)).status == 200
        response = await ask(here, "POST", "/admin/session", bearer)
        assert code(response) == (400, "VALIDATION_FAILED")
        assert "Set-Cookie" not in response.headers


async def test_no_session_begins_another_one() -> None:
    async with world() as here:
        browser = await Browser.log_in(here)
        response = await ask(here, "POST", "/admin/session", browser.headers())
        assert code(response) == (401, "AUTH_REQUIRED")


async def test_a_session_ends_on_request_and_no_other_one_with_it() -> None:
    async with world() as here:
        browser, other = await Browser.log_in(here), await Browser.log_in(here)
        response = await ask(here, "DELETE", "/admin/session", browser.headers())
        assert response.status == 204
        assert cookie_of(response) == ""
        assert "Max-Age=0" in response.headers["Set-Cookie"]
        assert code(await browser.get("/admin/session")) == (401, "INVALID_TOKEN")
        assert (await other.get("/admin/session")).status == 200


# Requests that change something, and pages of other origins


FOREIGN = [
    ["https://evil.example"],
    [PAGE],
    ["null"],
    ["https://lineup.test"],
    ["http://lineup.test:8080"],
    ["http://lineup.test.evil.example"],
    [OWN, "https://evil.example"],
    [OWN, OWN],
    [""],
]


@EVERY_WRITE
@pytest.mark.parametrize("origins", FOREIGN, ids=str)
async def test_a_foreign_origin_changes_nothing(method: str, path: str, origins: list[str]) -> None:
    async with world() as here:
        browser = await Browser.log_in(here)
        for sent in (here.bearer(**ADMIN), browser.headers(Origin=None)):
            headers = Headers([*sent.items(), *(("Origin", origin) for origin in origins)])
            response = await ask(here, method, path, headers)
            assert code(response) == (403, "FORBIDDEN")
            assert "Set-Cookie" not in response.headers
        assert (await browser.get("/admin/session")).status == 200


@EVERY_WRITE
async def test_a_cookie_without_origin_or_csrf_token_changes_nothing(
    method: str, path: str
) -> None:
    async with world() as here:
        browser, other = await Browser.log_in(here), await Browser.log_in(here)
        for headers in (
            browser.headers(Origin=None),
            browser.headers(X_CSRF_Token=None),
            browser.headers(X_CSRF_Token=""),
            browser.headers(X_CSRF_Token=other.csrf_token),
            browser.headers(X_CSRF_Token=browser.csrf_token[:-1] + "x"),
            browser.headers(X_CSRF_Token="é"),
        ):
            response = await ask(here, method, path, headers)
            assert code(response) == (403, "FORBIDDEN")
        assert (await browser.get("/admin/session")).status == 200


@EVERY_WRITE
async def test_a_script_needs_no_origin_and_a_page_of_the_servers_own_may_use_a_bearer(
    method: str, path: str
) -> None:
    async with world() as here:
        for headers in (here.bearer(**ADMIN), here.bearer(**ADMIN) | {"Origin": OWN}):
            response = await ask(here, method, path, headers)
            if response.status == 400:  # it wants a body
                assert response.json()["code"] == "VALIDATION_FAILED"
            else:
                assert response.status in {200, 204}


@EVERY_OPERATION
async def test_no_page_of_another_origin_reads_or_asks(method: str, path: str) -> None:
    async with world() as here:
        for headers in (
            {"Origin": PAGE},
            here.bearer(**ADMIN) | {"Origin": PAGE},
            {"Origin": PAGE, "Access-Control-Request-Method": method},
        ):
            asked = "OPTIONS" if "Access-Control-Request-Method" in headers else method
            response = await ask(here, asked, path, headers)
            fields = {name.lower() for name, _ in response.headers.items()}
            assert not {name for name in fields if name.startswith("access-control")}


@pytest.mark.parametrize(
    ("path", "status"), [("/admin", 308), ("/admin/", 200), ("/admin/nothing", 404)]
)
async def test_the_page_and_what_is_not_there_are_closed_to_other_origins_too(
    path: str, status: int
) -> None:
    async with world() as here:
        response = await ask(here, "GET", path, {"Origin": PAGE})
        assert response.status == status
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_what_only_begins_like_admin_is_open_to_allowed_pages() -> None:
    async with world() as here:
        response = await ask(here, "GET", "/administrators", {"Origin": PAGE})
        assert response.headers["Access-Control-Allow-Origin"] == PAGE


async def test_where_operators_have_their_own_address_there_is_no_admin_here() -> None:
    async with world(settings_with(admin_listen="127.0.0.1:9090", serve_page=False)) as here:
        for method, path in OPERATIONS:
            response = await ask(here, method, path, here.bearer(**ADMIN))
            assert code(response) == (404, "NOT_FOUND")
        described = (await here.get("/openapi.json")).json()
        assert not [path for path in described["paths"] if path.startswith("/admin")]
        assert "/admin" not in (await here.get("/")).body.decode()


def test_there_is_something_to_ask() -> None:
    assert len(READS) >= 5
    assert len(WRITES) >= 2
