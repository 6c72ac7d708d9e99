"""The line-up page and its files, over HTTP; tests/e2e has a browser."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from gbs_actor.testing import HttpReply
from tests.gateway.admin_site import ask
from tests.gateway.serving import SECRET, SLUG, World, settings_with, world

PROXY = "192.0.2.1"
PAGES = ("/", f"/retreats/{SLUG}")


def directives(response: HttpReply) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    return dict(each.strip().partition(" ")[::2] for each in policy.split(";"))


async def text_of(here: World, path: str) -> str:
    return (await ask(here, "GET", path)).body.decode()


async def options_of(here: World, path: str = "/") -> Any:
    found = re.search(r'<meta name="options" content="([^"]*)">', await text_of(here, path))
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("path", PAGES)
async def test_the_page_needs_no_token_and_allows_nothing_but_its_own_files(path: str) -> None:
    async with world() as here:
        response = await ask(here, "GET", path)
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in response.headers
        found = directives(response)
        assert found["default-src"] == found["base-uri"] == found["form-action"] == "'none'"
        assert found["frame-ancestors"] == found["trusted-types"] == "'none'"
        assert {found[name] for name in ("script-src", "style-src", "img-src")} == {"'self'"}
        assert found["connect-src"] == "'self' ws://lineup.test"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        text = response.body.decode()
        assert '<html lang="ko">' in text
        assert re.findall(r"<script[^>]*>(?!</script>)", text) == []
        assert not re.search(r"<style|\son\w+=|\sstyle=", text)


async def test_a_beacon_of_the_page_has_an_origin() -> None:
    """With the policy no-referrer it would be null, and the server would refuse the beacon."""
    async with world() as here:
        response = await ask(here, "GET", "/")
        assert response.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("host", "scheme", "source"),
    [
        ("gbs.example.org", "http", " ws://gbs.example.org"),
        ("GBS.example.org:8443", "https", " wss://gbs.example.org:8443"),
        ("gbs.example.org:443", "https", " wss://gbs.example.org"),
        ("[::1]:8080", "http", ""),  # no source can be that
    ],
)
async def test_the_page_may_connect_to_the_websocket_of_its_own_host(
    host: str, scheme: str, source: str
) -> None:
    async with world(settings_with(trusted_proxies=(PROXY,))) as here:
        headers = {"Host": host, "X-Forwarded-Proto": scheme}
        response = await here.server.http("GET", "/", user=None, headers=headers, address=PROXY)
        assert directives(response)["connect-src"] == f"'self'{source}"


@pytest.mark.parametrize("host", ["a.example; script-src *", "a.example *", "a\tb"])
async def test_a_host_cannot_loosen_the_policy(host: str) -> None:
    async with world() as here:
        response = await ask(here, "GET", "/", {"Host": host})
        assert response.status == 400
        assert "Content-Security-Policy" not in response.headers


@pytest.mark.parametrize(
    "path", [*PAGES, "/retreats/%EA%B2%A8%EC%9A%B8%202025", "/retreats/nowhere"]
)
async def test_files_are_found_from_every_page(path: str) -> None:
    async with world() as here:
        base = "assets/" if path == "/" else "../assets/"
        links = re.findall(r'(?:src|href)="([^"]+)"', await text_of(here, path))
        assert len(links) >= 5
        for link in links:
            assert link.startswith(base)
            response = await ask(here, "GET", link.replace(base, "/assets/"))
            assert response.status == 200
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", PAGES)
async def test_an_unchanged_page_is_not_sent_again(path: str) -> None:
    async with world() as here:
        etag = (await ask(here, "GET", path)).headers["ETag"]
        again = await ask(here, "GET", path, {"If-None-Match": etag})
        assert (again.status, again.body) == (304, b"")
        # A browser takes the fields of the 304 (RFC 9111 §3.2).
        assert "script-src" in directives(again)
        small = await ask(here, "GET", path, {"Accept-Encoding": "gzip"})
        assert (small.headers["Content-Encoding"], small.headers["Vary"]) == (
            "gzip",
            "Accept-Encoding, Origin",
        )


@pytest.mark.parametrize(
    "path", ["/retreats", "/retreats/", "/retreats/a/b", "/assets/", "/assets/0/lineup/main.js"]
)
async def test_there_are_no_other_pages_and_files(path: str) -> None:
    async with world() as here:
        assert (await ask(here, "GET", path)).status == 404


async def test_the_page_is_told_where_to_sign_in() -> None:
    async with world() as here:
        for path in PAGES:
            assert await options_of(here, path) == {
                "cookieName": "accessToken",
                "signInUrl": None,
                "demoPeople": [],
            }
    url = "https://page.example/login?a='1'&b=<\"2\">"
    async with world(settings_with(sign_in_url=url, cookie_name="session")) as here:
        options = await options_of(here)
        assert (options["signInUrl"], options["cookieName"]) == (url, "session")


async def test_in_the_demo_it_is_told_as_whom_one_may_enter() -> None:
    async with world(settings_with(jwt_secret=SECRET), demo_sign_in=True) as here:
        assert len((await options_of(here))["demoPeople"]) >= 2


async def test_it_can_be_switched_off() -> None:
    async with world(settings_with(serve_page=False)) as here:
        assert "lineup/main.js" not in await text_of(here, "/")
        assert (await ask(here, "GET", PAGES[1])).status == 404
        assert (await here.get("/api/v1/retreats", here.bearer())).status == 200


async def test_where_operators_have_their_own_address_the_page_stays_here() -> None:
    async with world(settings_with(admin_listen="127.0.0.1:9090")) as here:
        for path in PAGES:
            assert (await ask(here, "GET", path)).status == 200
