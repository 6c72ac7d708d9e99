"""The dashboard's page and files, over HTTP; tests/e2e/test_dashboard.py has a browser."""

from __future__ import annotations

import gzip
import re

from gbs_actor.gateway.http.admin.dashboard import POLICY
from gbs_actor.testing import HttpReply
from tests.gateway.admin_site import ask
from tests.gateway.serving import World, settings_with, world


async def page_of(here: World) -> str:
    return (await ask(here, "GET", "/admin/")).body.decode()


async def script_path(here: World) -> str:
    found = re.search(r'src="(assets/[^"]+/admin/main\.js)"', await page_of(here))
    assert found
    return f"/admin/{found[1]}"


def directives(response: HttpReply) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    return dict(each.strip().partition(" ")[::2] for each in policy.split(";"))


async def test_the_page_needs_no_token_and_allows_nothing_but_its_own_files() -> None:
    async with world() as here:
        response = await ask(here, "GET", "/admin/")
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in response.headers
        found = directives(response)
        assert found["default-src"] == found["base-uri"] == found["form-action"] == "'none'"
        assert found["frame-ancestors"] == found["trusted-types"] == "'none'"
        assert {found[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
        assert "unsafe" not in POLICY
        assert "*" not in POLICY


async def test_the_page_has_no_inline_script_or_style() -> None:
    async with world() as here:
        page = await page_of(here)
        assert re.findall(r"<script[^>]*>(?!</script>)", page) == []
        assert "<style" not in page
        assert not re.search(r"\son\w+=|\sstyle=", page)


async def test_a_missing_slash_is_added() -> None:
    async with world() as here:
        response = await ask(here, "GET", "/admin")
        assert (response.status, response.headers["Location"]) == (308, "/admin/")


async def test_files_are_kept_for_ever_and_the_page_is_asked_for() -> None:
    async with world() as here:
        path = await script_path(here)
        response = await ask(here, "GET", path)
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        for address in ("/admin/", path):
            etag = (await ask(here, "GET", address)).headers["ETag"]
            again = await ask(here, "GET", address, {"If-None-Match": etag})
            assert (again.status, again.body) == (304, b"")
            assert again.headers["ETag"] == etag
            other = await ask(here, "GET", address, {"If-None-Match": '"other"'})
            assert other.status == 200


async def test_files_are_compressed_for_who_takes_that() -> None:
    async with world() as here:
        for path in ("/admin/", (await script_path(here)).replace("main.js", "app.js")):
            plain = await ask(here, "GET", path)
            small = await ask(here, "GET", path, {"Accept-Encoding": "gzip, deflate, br"})
            assert "Content-Encoding" not in plain.headers
            assert small.headers["Content-Encoding"] == "gzip"
            assert "Accept-Encoding" in plain.headers["Vary"]
            assert "Accept-Encoding" in small.headers["Vary"]
            assert gzip.decompress(small.body) == plain.body
            assert plain.headers["ETag"] != small.headers["ETag"]
            refused = await ask(here, "GET", path, {"Accept-Encoding": "gzip;q=0"})
            assert "Content-Encoding" not in refused.headers


async def test_there_are_no_other_files() -> None:
    async with world() as here:
        path = await script_path(here)
        for other in (
            path.replace("main.js", "nothing.js"),
            path.replace("main.js", "..%2f..%2f..%2fassets.py"),
            path.replace("/admin/main.js", "/../../assets.py"),
            "/admin/assets/0000000000000000/admin/main.js",
            "/admin/assets/",
        ):
            assert (await ask(here, "GET", other)).status == 404


async def test_where_operators_have_their_own_address_there_is_no_page_here() -> None:
    async with world(settings_with(admin_listen="127.0.0.1:9090")) as here:
        for path in ("/admin", "/admin/"):
            assert (await ask(here, "GET", path)).status == 404
