"""``/admin/rooms``: which rooms an operator is shown, and in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin.room_query import SORTS
from tests.gateway.serving import OTHER_SLUG, SLUG, World, world


@asynccontextmanager
async def two_rooms() -> AsyncIterator[World]:
    """Open the rooms of both retreats; one of them has had two edits."""
    async with world() as here:
        for slug in (SLUG, OTHER_SLUG):
            await here.rows(f"/api/v1/retreat/{slug}/line-up/user-lineups")
        await here.assign(2, 3)
        await here.assign(2, 4)
        yield here


async def listed(here: World, query: str = "", **token: Any) -> tuple[list[str], int]:
    """Return the slugs that are shown, and how many there are in all."""
    headers = here.bearer(role=Role.ADMIN_MINISTER, **token)
    response = await here.get(f"/admin/rooms{query}", headers)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    page = response.json()
    return [room["slug"] for room in page["rooms"]], page["total"]


async def test_rooms_are_sorted_by_slug_unless_asked_otherwise() -> None:
    async with two_rooms() as here:
        assert await listed(here) == ([OTHER_SLUG, SLUG], 2)
        assert await listed(here, "?sort=-slug") == ([SLUG, OTHER_SLUG], 2)
        assert await listed(here, "?sort=accepted") == ([OTHER_SLUG, SLUG], 2)
        assert await listed(here, "?sort=-commit.count") == ([SLUG, OTHER_SLUG], 2)


@pytest.mark.parametrize("sort", SORTS)
async def test_every_order_that_is_described_is_one(sort: str) -> None:
    async with two_rooms() as here:
        slugs, total = await listed(here, f"?sort={sort}")
        assert (set(slugs), total) == ({SLUG, OTHER_SLUG}, 2)


async def test_one_page_follows_another() -> None:
    async with two_rooms() as here:
        assert await listed(here, "?limit=1") == ([OTHER_SLUG], 2)
        assert await listed(here, "?limit=1&offset=1") == ([SLUG], 2)
        assert await listed(here, "?offset=2") == ([], 2)


async def test_rooms_are_filtered_by_state_and_by_part_of_the_slug() -> None:
    async with two_rooms() as here:
        assert await listed(here, "?state=running") == ([OTHER_SLUG, SLUG], 2)
        assert await listed(here, "?state=failed") == ([], 0)
        assert await listed(here, "?search=WIN") == ([SLUG], 1)
        assert await listed(here, "?search=%25") == ([], 0)
        assert await listed(here, "?search=&state=running&limit=1") == ([OTHER_SLUG], 2)


async def test_what_an_operator_may_not_see_is_not_counted_either() -> None:
    async with two_rooms() as here:
        assert await listed(here, "?search=2024", retreats=(SLUG,)) == ([SLUG], 1)
        assert await listed(here, "?offset=1", retreats=(SLUG,)) == ([], 1)
        assert await listed(here, f"?search={OTHER_SLUG}", retreats=(SLUG,)) == ([], 0)


@pytest.mark.parametrize(
    "query",
    [
        "state=FAILED",
        "state=",
        "state=failed&state=running",
        "sort=memo",
        "sort=--slug",
        "sort=",
        "sort=commit",
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=1.0",
        "limit=%D9%A3",
        "limit=",
        "offset=-1",
        "offset=1000001",
        "offset=99999999999999999999",
        f"search={'x' * 201}",
        "search=a&search=b",
    ],
)
async def test_a_query_that_means_nothing_is_400_and_names_the_field(query: str) -> None:
    async with world() as here:
        response = await here.get(f"/admin/rooms?{query}", here.bearer(role=Role.ADMIN_MINISTER))
        assert response.status == 400
        answer = response.json()
        assert answer["code"] == "VALIDATION_FAILED"
        assert answer["message"].startswith(query.partition("=")[0])


async def test_who_is_no_operator_is_not_told_that_a_query_is_wrong() -> None:
    async with world() as here:
        response = await here.get("/admin/rooms?limit=0", here.bearer(role=Role.LINEUP_STAFF))
        assert response.status == 403


async def test_the_figures_of_a_room() -> None:
    async with two_rooms() as here:
        headers = here.bearer(role=Role.ADMIN_MINISTER)
        page = (await here.get(f"/admin/rooms?search={SLUG}", headers)).json()
        (room,) = page["rooms"]
        assert (room["state"], room["subscriberCount"], room["revision"]) == ("running", 0, 2)
        assert (room["mailboxDepth"], room["mailboxHighWater"]) == (0, 1)
        assert room["commit"].keys() == {"count", "p50", "p95", "p99", "longest"}
        assert room["commit"]["count"] == room["handOut"]["count"] == 2
        assert (room["restarts"], room["lastError"], room["restartIn"]) == (0, None, None)
        assert room["age"] >= room["idleFor"] >= 0
        assert room["commandsPerSecond"] > 0
        assert page["draining"] is False


async def test_a_restricted_operator_gets_no_figures_of_the_whole_server() -> None:
    async with two_rooms() as here:
        for retreats, started in ((None, 2), ([SLUG, OTHER_SLUG], None), (None, 2)):
            headers = here.bearer(role=Role.ADMIN_MINISTER, retreats=retreats)
            page = (await here.get("/admin/rooms", headers)).json()
            assert (page["total"], page["started"]) == (2, started)
            whole = [page[name] for name in ("stoppedIdle", "crashes", "draining")]
            assert whole == ([0, 0, False] if started else [None] * 3)


async def test_a_room_as_a_whole() -> None:
    async with two_rooms() as here:
        path = f"/admin/rooms/{SLUG}"
        room = (await here.get(path, here.bearer(role=Role.ADMIN_MINISTER))).json()
        assert [change["revision"] for change in room["lastChanges"]] == [2, 1]
        change = room["lastChanges"][0]
        assert (change["kind"], change["userName"]) == ("assign-number", "김하늘")
        assert change["at"].startswith("20")
        assert (room["batch"], room["crashHistory"], room["subscribers"]) == (None, [], [])
        assert room["batchSizes"] == [{"upper": 1.0, "count": 2}]
        assert sum(bucket["count"] for bucket in room["commitTimes"]) == 2
        assert room["sinceProgress"] >= 0
