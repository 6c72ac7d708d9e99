from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from websockets.datastructures import Headers

from gbs_actor.auth import Role
from gbs_actor.testing import HttpReply
from tests.gateway.serving import LINEUPS, OTHER_SLUG, SLUG, World, settings_with, world
from tests.gateway.test_list_bodies import scope_of

# Probes


async def test_healthz_answers_without_a_token_and_without_the_store() -> None:
    async with world() as here:
        here.store.begin_outage()
        assert (await here.get("/healthz")).status == 200


async def test_readyz_is_ready_while_the_store_can_keep_changes() -> None:
    async with world() as here:
        assert (await here.get("/readyz")).status == 200


async def test_readyz_says_why_the_store_can_keep_no_change(autojump_clock: MockClock) -> None:
    async with world() as here:
        here.store.begin_outage()
        await trio.sleep(2 * here.services.settings.store.write_check_interval)
        response = await here.get("/readyz")
        assert response.status == 503
        answer = response.json()
        assert answer["code"] == "STORE_UNAVAILABLE"
        assert answer["message"] == "The database does not answer."
        assert "Retry-After" in response.headers


async def test_readyz_says_draining_before_anything_else() -> None:
    async with world() as here:
        here.server.composition.draining = True
        response = await here.get("/readyz")
        assert response.status == 503
        assert "shutting down" in response.json()["message"]


# Reading the line-up


async def test_the_list_has_every_row_the_revision_and_the_epoch() -> None:
    async with world() as here:
        answer = await here.rows()
        assert len(answer["userRetreatGbsLineups"]) == 6
        assert answer["revision"] == 0
        assert answer["epoch"]
        assert answer["full"] is True


async def test_a_cookie_is_as_good_as_a_header() -> None:
    async with world() as here:
        headers = {"Cookie": f"accessToken={here.token()}"}
        assert (await here.get(LINEUPS, headers)).status == 200


async def test_a_bad_header_is_not_made_up_for_by_a_good_cookie() -> None:
    async with world() as here:
        headers = {"Cookie": f"accessToken={here.token()}", "Authorization": "Bearer x"}
        assert (await here.get(LINEUPS, headers)).status == 401


async def test_an_unchanged_list_is_answered_with_304() -> None:
    async with world() as here:
        first = await here.get(LINEUPS, here.bearer())
        headers = {**here.bearer(), "If-None-Match": first.headers["ETag"]}
        second = await here.get(LINEUPS, headers)
        assert second.status == 304
        assert second.body == b""
        assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("W/{etag}", id="weak"),
        pytest.param('"other", {etag}', id="in a list"),
        pytest.param('W/"other",W/{etag} , "x"', id="weak, in a list"),
        pytest.param("*", id="any"),
    ],
)
async def test_every_form_of_if_none_match_that_has_the_etag_matches(written: str) -> None:
    async with world() as here:
        etag = (await here.get(LINEUPS, here.bearer())).headers["ETag"]
        headers = {**here.bearer(), "If-None-Match": written.format(etag=etag)}
        assert (await here.get(LINEUPS, headers)).status == 304


async def test_if_none_match_may_come_in_several_fields() -> None:
    async with world() as here:
        etag = (await here.get(LINEUPS, here.bearer())).headers["ETag"]
        headers = Headers([*here.bearer().items(), ("If-None-Match", '"x"')])
        headers["If-None-Match"] = etag
        assert (await here.get(LINEUPS, headers)).status == 304


@pytest.mark.parametrize("written", ["", '"', '""', "W/", '"a', ",", '"other"', "other", "\xff"])
async def test_an_if_none_match_without_the_etag_gets_the_list(written: str) -> None:
    async with world() as here:
        headers = {**here.bearer(), "If-None-Match": written}
        assert (await here.get(LINEUPS, headers)).status == 200


async def test_the_etag_also_saves_the_rows_since_a_revision() -> None:
    async with world() as here:
        await here.assign(2, 3)
        path = f"{LINEUPS}?since=1&epoch={(await here.rows())['epoch']}"
        first = await here.get(path, here.bearer())
        headers = {**here.bearer(), "If-None-Match": first.headers["ETag"]}
        assert (await here.get(path, headers)).status == 304
        await here.assign(3, 3)
        assert (await here.get(path, headers)).status == 200


async def test_a_304_has_no_body_and_says_what_it_depends_on() -> None:
    async with world() as here:
        response = await here.get(LINEUPS, {**here.bearer(), "If-None-Match": "*"})
        assert response.body == b""
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie", "Origin"} <= set(response.headers["Vary"].split(", "))


async def test_head_tells_length_and_etag_without_the_list() -> None:
    async with world() as here:
        whole = await here.get(LINEUPS, here.bearer())
        head = await here.send("HEAD", LINEUPS)
        assert head.status == 200
        for name in ("ETag", "Content-Type", "Content-Length"):
            assert head.headers[name] == whole.headers[name]


async def test_since_above_the_rooms_revision_returns_the_full_list() -> None:
    async with world() as here:
        answer = await here.rows(f"{LINEUPS}?since=5")
        assert answer["full"] is True


async def test_a_changed_list_has_another_etag() -> None:
    async with world() as here:
        first = await here.get(LINEUPS, here.bearer())
        await here.assign(2, 3)
        headers = {**here.bearer(), "If-None-Match": first.headers["ETag"]}
        second = await here.get(LINEUPS, headers)
        assert second.status == 200
        assert second.json()["revision"] == 1


async def test_since_returns_the_rows_from_that_revision_on_inclusively() -> None:
    async with world() as here:
        await here.assign(2, 3)
        await here.assign(3, 4)
        epoch = (await here.rows())["epoch"]
        answer = await here.rows(f"{LINEUPS}?since=2&epoch={epoch}")
        assert answer["full"] is False
        assert [row["id"] for row in answer["userRetreatGbsLineups"]] == [3]


async def test_since_of_another_epoch_returns_the_full_list() -> None:
    async with world() as here:
        await here.assign(2, 3)
        answer = await here.rows(f"{LINEUPS}?since=1&epoch=other")
        assert answer["full"] is True
        assert len(answer["userRetreatGbsLineups"]) == 6


@pytest.mark.parametrize(
    "query",
    [
        "since=-1",
        "since=x",
        "since=",
        "since=1.0",
        "since=9223372036854775808",
        "since=1&since=2",
        "epoch=%00",
        "epoch=a&epoch=a",
    ],
)
async def test_a_malformed_query_is_refused(query: str) -> None:
    async with world() as here:
        response = await here.get(f"{LINEUPS}?{query}", here.bearer())
        assert response.status == 400
        assert response.json()["code"] == "VALIDATION_FAILED"


async def test_without_a_token_the_answer_is_401_and_names_the_scheme() -> None:
    async with world() as here:
        response = await here.get(LINEUPS)
        assert response.status == 401
        assert response.json() == {
            "code": "AUTH_REQUIRED",
            "message": "Authentication required",
        }
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_an_expired_token_is_401() -> None:
    async with world() as here:
        headers = here.bearer(expires_in=60)
        here.server.wall.advance(91)
        response = await here.get(LINEUPS, headers)
        assert response.status == 401
        assert response.json()["code"] == "TOKEN_EXPIRED"


async def test_a_token_for_another_retreat_is_403() -> None:
    async with world() as here:
        response = await here.get(LINEUPS, here.bearer(retreats=("2024-summer",)))
        assert response.status == 403
        assert response.json()["code"] == "FORBIDDEN"


async def test_a_grant_that_takes_reading_away_is_403() -> None:
    async with world() as here:
        assert (await here.get(LINEUPS, here.bearer(user_id=51))).status == 403


async def test_an_unknown_retreat_is_404() -> None:
    async with world() as here:
        response = await here.get("/api/v1/retreat/none/line-up/user-lineups", here.bearer())
        assert response.status == 404
        assert response.json()["code"] == "RETREAT_NOT_FOUND"


@pytest.mark.parametrize("slug", ["%00", "x" * 201, "a%00b"])
async def test_a_slug_that_no_retreat_can_have_is_refused(slug: str) -> None:
    async with world() as here:
        for path in (f"/api/v1/retreat/{slug}/line-up/user-lineups", f"/admin/rooms/{slug}"):
            response = await here.get(path, here.bearer(role=Role.ADMIN_MINISTER))
            assert response.status == 400


async def test_an_unreachable_store_is_503_with_a_time_to_come_back() -> None:
    async with world() as here:
        here.store.begin_outage()
        response = await here.get(LINEUPS, here.bearer())
        assert response.status == 503
        answer = response.json()
        assert (answer["code"], answer["retryable"]) == ("STORE_UNAVAILABLE", True)
        assert int(response.headers["Retry-After"]) > 0


# Operators


async def test_an_operator_sees_the_open_rooms() -> None:
    async with world() as here:
        await here.rows()
        response = await here.get("/admin/rooms", here.bearer(role=Role.ADMIN_MINISTER))
        assert response.status == 200
        (room,) = response.json()["rooms"]
        assert room["slug"] == SLUG
        assert room["rows"] == 6
        assert room["subscriberCount"] == 0


async def test_an_operator_sees_one_room_in_full() -> None:
    async with world() as here:
        await here.assign(2, 3)
        response = await here.get(f"/admin/rooms/{SLUG}", here.bearer(role=Role.ADMIN_MINISTER))
        answer = response.json()
        assert (answer["revision"], answer["accepted"]) == (1, 1)
        assert answer["subscribers"] == []
        assert answer["commit"]["count"] == 1


async def shown_rooms(here: World, **token: Any) -> set[str]:
    """Return the slugs that an operator is shown, all of two rooms being open."""
    for slug in (SLUG, OTHER_SLUG):
        await here.rows(f"/api/v1/retreat/{slug}/line-up/user-lineups")
    response = await here.get("/admin/rooms", here.bearer(role=Role.ADMIN_MINISTER, **token))
    assert response.status == 200
    return {room["slug"] for room in response.json()["rooms"]}


async def test_an_operator_of_some_retreats_sees_only_their_rooms() -> None:
    async with world() as here:
        assert await shown_rooms(here) == {SLUG, OTHER_SLUG}
        assert await shown_rooms(here, retreats=(OTHER_SLUG,)) == {OTHER_SLUG}
        assert await shown_rooms(here, retreats=()) == set()
        headers = here.bearer(role=Role.ADMIN_MINISTER, retreats=(OTHER_SLUG,))
        for hidden in (SLUG, "none"):  # as if it were none: its answer does not differ
            response = await here.get(f"/admin/rooms/{hidden}", headers)
            assert (response.status, response.json()["code"]) == (403, "FORBIDDEN")
        assert (await here.get(f"/admin/rooms/{OTHER_SLUG}", headers)).status == 200


async def test_a_grant_that_takes_the_operator_away_hides_the_room_in_the_list_too() -> None:
    async with world() as here:
        assert await shown_rooms(here, user_id=51) == {OTHER_SLUG}
        headers = here.bearer(role=Role.ADMIN_MINISTER, user_id=51)
        assert (await here.get(f"/admin/rooms/{SLUG}", headers)).status == 403


async def test_while_the_store_is_unreachable_an_operator_sees_the_rooms_of_the_token() -> None:
    async with world() as here:
        assert await shown_rooms(here, user_id=9) == {SLUG, OTHER_SLUG}
        here.store.begin_outage()
        headers = here.bearer(role=Role.ADMIN_MINISTER, user_id=10, retreats=(SLUG,))
        response = await here.get("/admin/rooms", headers)
        assert [room["slug"] for room in response.json()["rooms"]] == [SLUG]


async def test_a_room_that_is_not_open_is_404() -> None:
    async with world() as here:
        response = await here.get(f"/admin/rooms/{SLUG}", here.bearer(role=Role.ADMIN_MINISTER))
        assert response.status == 404


@pytest.mark.parametrize("path", ["/admin/rooms", f"/admin/rooms/{SLUG}"])
async def test_who_is_no_operator_does_not_see_rooms(path: str) -> None:
    async with world() as here:
        assert (await here.get(path)).status == 401
        assert (await here.get(path, here.bearer(role=Role.LINEUP_STAFF))).status == 403


# Errors and origins


async def test_an_unknown_address_is_404_in_json() -> None:
    async with world() as here:
        response = await here.get("/nothing")
        assert response.status == 404
        assert response.json()["code"] == "NOT_FOUND"


async def test_a_wrong_method_is_405_in_json_and_names_the_right_ones() -> None:
    async with world() as here:
        response = await here.server.http("DELETE", LINEUPS, user=None)
        assert response.status == 405
        assert "GET" in response.headers["Allow"]
        assert response.headers["Content-Type"] == "application/json"


async def test_an_exception_is_500_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as here:

        def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(here.rooms, "matching", broken)
        response = await here.get("/admin/rooms", here.bearer(role=Role.ADMIN_MINISTER))
        assert response.status == 500
        text = response.body.decode()
        assert json.loads(text)["code"] == "INTERNAL"
        assert "secret detail" not in text


PAGE = "https://page.example"


@pytest.mark.parametrize(
    ("status", "request_line", "raw"),
    [
        (200, "GET /healthz", b""),
        (200, f"GET {LINEUPS}", b""),
        (200, f"PUT {LINEUPS}/2", b'{"gbsNumber":3}'),
        (400, f"PUT {LINEUPS}/2", b"{"),
        (401, f"GET {LINEUPS}", b""),
        (401, f"PUT {LINEUPS}/2", b"{"),
        (404, "GET /nothing", b""),
        (405, f"DELETE {LINEUPS}", b""),
        (409, f"PUT {LINEUPS}/1", b'{"gbsNumber":3}'),
        (413, f"PUT {LINEUPS}/2", b"x" * 200),
        (500, f"GET {LINEUPS}", b""),
    ],
)
async def test_an_allowed_page_may_read_every_answer(
    monkeypatch: pytest.MonkeyPatch, status: int, request_line: str, raw: bytes
) -> None:
    async with world(settings_with(max_body=100)) as here:
        if status == 500:
            monkeypatch.setattr(here.rooms, "read", None)
        method, path = request_line.split()
        headers = {"Origin": PAGE, "Content-Type": "application/json"}
        if status != 401:
            headers |= here.bearer(role=Role.ADMIN_MINISTER)
        response = await here.server.http(method, path, user=None, headers=headers, body=raw)
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Access-Control-Expose-Headers"] == "ETag, Retry-After"
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("path", ["", "//["])
async def test_a_target_that_is_no_url_is_refused_readably(path: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        await trio.sleep_forever()

    async def send(event: Any) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(event)

    async with world() as here:
        await here.server.composition.app(scope_of(path, {"Origin": PAGE}), receive, send)
    assert sent[0]["status"] == 400
    assert (b"access-control-allow-origin", PAGE.encode()) in sent[0]["headers"]


@pytest.mark.parametrize(
    "origins",
    [
        ["https://evil.example"],
        ["null"],
        ["http://page.example"],
        ["https://PAGE.example"],
        [PAGE, "https://evil.example"],
    ],
)
async def test_another_origin_may_not_read_answers(origins: list[str]) -> None:
    async with world() as here:
        headers = Headers([("Origin", origin) for origin in origins])
        response = await here.get("/healthz", headers)
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]


async def preflight(here: World, headers: dict[str, str]) -> HttpReply:
    return await here.server.http("OPTIONS", LINEUPS, user=None, headers=headers)


async def test_a_preflight_is_answered_before_authentication() -> None:
    async with world() as here:
        headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "PUT"}
        response = await preflight(here, headers)
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE"
        allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
        assert allowed == [
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
        ]


async def test_a_preflight_of_another_origin_gets_nothing() -> None:
    async with world() as here:
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
        response = await preflight(here, headers)
        assert not {
            name
            for name, _ in response.headers.items()
            if name.lower().startswith("access-control")
        }


@pytest.mark.parametrize(
    "path", [f"{LINEUPS}/", LINEUPS.replace("/line-up", "//line-up"), "/healthz/"]
)
async def test_an_address_that_is_not_exactly_right_is_not_found(path: str) -> None:
    async with world() as here:
        assert (await here.get(path, here.bearer())).status == 404


async def test_without_the_line_up_page_the_index_says_what_is_here() -> None:
    async with world(settings_with(serve_page=False)) as here:
        response = await here.get("/")
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "/gbs-lineup" in response.body.decode()
