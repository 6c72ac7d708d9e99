"""What a page shows around the list: the retreats one may enter, and one of them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from gbs_actor.auth import Role
from gbs_actor.lineup.schedules import ScheduleKind
from gbs_actor.store.seed.seed import SeedSchedule
from tests.gateway.serving import DAY, NOW, OTHER_SLUG, SLUG, World, seed, settings_with, world

RETREATS = "/api/v1/retreats"
RETREAT = f"/api/v1/retreat/{SLUG}"


async def entered(here: World, **token: Any) -> dict[str, bool]:
    """Return whether a user may edit each retreat that is listed for them."""
    response = await here.get(RETREATS, here.bearer(**token))
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    return {each["slug"]: each["canEdit"] for each in response.json()["retreats"]}


async def test_all_retreats_are_listed_with_the_newest_first() -> None:
    async with world() as here:
        await here.store.import_retreat(
            dataclasses.replace(seed("2025-winter"), title="2025 겨울 수련회")
        )
        listed = (await here.get(RETREATS, here.bearer())).json()["retreats"]
        assert listed[0] == {"slug": "2025-winter", "title": "2025 겨울 수련회", "canEdit": True}
        assert [each["slug"] for each in listed[1:]] == [OTHER_SLUG, SLUG]


async def test_the_list_says_who_asks_and_until_when() -> None:
    async with world() as here:
        bearer = here.bearer(user_id=9, name="이바다", email="sea@page.example", expires_in=60)
        assert (await here.get(RETREATS, bearer)).json()["user"] == {
            "userId": 9,
            "name": "이바다",
            "role": "LINEUP_STAFF",
            "expiresAt": "2023-11-14T22:14:20Z",
        }
        assert NOW == 1_700_000_000
        bearer = here.bearer(name="sea@page.example", expires_in=None)
        user = (await here.get(RETREATS, bearer)).json()["user"]
        assert (user["name"], user["expiresAt"]) == ("사용자 7", None)


async def test_only_retreats_that_the_user_may_read_are_listed() -> None:
    async with world() as here:
        assert await entered(here, retreats=(SLUG,)) == {SLUG: True}
        assert await entered(here, retreats=()) == {}
        assert await entered(here, user_id=51) == {OTHER_SLUG: True}  # no role in the first


async def test_a_grant_decides_who_may_edit() -> None:
    async with world() as here:
        assert await entered(here, user_id=50) == {SLUG: False, OTHER_SLUG: True}
        reader: dict[str, Any] = {"role": Role.DORMITORY_STAFF, "user_id": 52}
        assert await entered(here, **reader) == {SLUG: False, OTHER_SLUG: True}


async def test_a_retreat_has_what_its_page_shows() -> None:
    async with world(settings_with(largest_group=6)) as here:
        response = await here.get(RETREAT, here.bearer())
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json() == {
            "slug": SLUG,
            "title": SLUG,
            "canEdit": True,
            "isOperator": False,
            "user": {
                "userId": 7,
                "name": "김하늘",
                "role": "LINEUP_STAFF",
                "expiresAt": "2023-11-14T23:13:20Z",
            },
            "schedules": [
                {
                    "id": 1,
                    "name": "첫째 날 저녁",
                    "kind": "DINNER",
                    "startsAt": "2024-01-19T10:00:00Z",
                    "day": "2024-01-19",
                    "label": "금저",
                }
            ],
            "largestGroup": 6,
        }


async def test_schedules_come_in_time_order_with_the_labels_of_the_sheets() -> None:
    schedules = (
        SeedSchedule("늦은 밤", DAY + timedelta(hours=6)),  # on the next day in Korea
        SeedSchedule("저녁", DAY),
        SeedSchedule("둘째 저녁 식사", DAY + timedelta(hours=1)),
        SeedSchedule("간식", DAY, ScheduleKind.LUNCH),
    )
    async with world() as here:
        await here.store.import_retreat(
            dataclasses.replace(seed("2025-winter"), schedules=schedules)
        )
        shown = (await here.get("/api/v1/retreat/2025-winter", here.bearer())).json()
        found = [(each["name"], each["label"], each["day"]) for each in shown["schedules"]]
        assert found == [
            ("간식", "금점", "2024-01-19"),
            ("저녁", "금저", "2024-01-19"),
            ("둘째 저녁 식사", "금저2", "2024-01-19"),
            ("늦은 밤", "토숙", "2024-01-20"),
        ]


async def test_the_role_in_the_retreat_decides_what_one_may_do_there() -> None:
    async with world() as here:
        for token, expected in (
            ({"role": Role.ADMIN_MINISTER}, (True, True)),
            ({"user_id": 50}, (False, False)),
            ({"role": Role.LEADER_STAFF}, (False, False)),
        ):
            shown = (await here.get(RETREAT, here.bearer(**token))).json()
            assert (shown["canEdit"], shown["isOperator"]) == expected
            # The token's: what the user is elsewhere.
            assert shown["user"]["role"] == token.get("role", Role.LINEUP_STAFF)


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        (RETREAT, {"user_id": 51}, 403, "FORBIDDEN"),
        (RETREAT, {"retreats": (OTHER_SLUG,)}, 403, "FORBIDDEN"),
        ("/api/v1/retreat/nowhere", {}, 404, "RETREAT_NOT_FOUND"),
        ("/api/v1/retreat/" + "x" * 201, {}, 400, "VALIDATION_FAILED"),
        ("/api/v1/retreat/a%00b", {}, 400, "VALIDATION_FAILED"),
        (f"{RETREAT}/", {}, 404, "NOT_FOUND"),
        (RETREAT, {"expires_in": -100}, 401, "TOKEN_EXPIRED"),
    ],
)
async def test_who_may_not_enter_a_retreat_gets_an_error(
    path: str, token: dict[str, Any], status: int, code: str
) -> None:
    async with world() as here:
        response = await here.get(path, here.bearer(**token))
        assert (response.status, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("path", [RETREATS, RETREAT])
async def test_without_a_token_nothing_is_shown(path: str) -> None:
    async with world() as here:
        response = await here.get(path)
        assert response.status == 401
        assert response.json()["code"] == "AUTH_REQUIRED"


@pytest.mark.parametrize("path", [RETREATS, RETREAT])
async def test_the_cookie_and_pages_of_allowed_origins_do(path: str) -> None:
    async with world() as here:
        headers = {"Origin": "https://page.example", "Cookie": f"accessToken={here.token()}"}
        response = await here.get(path, headers)
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "https://page.example"


@pytest.mark.parametrize("path", [RETREATS, RETREAT])
async def test_they_count_as_requests_of_the_user(path: str) -> None:
    async with world(settings_with(user_rate=0.001, user_burst=1)) as here:
        assert (await here.get(path, here.bearer())).status == 200
        response = await here.get(path, here.bearer())
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0


async def test_without_the_database_a_retreat_is_unavailable() -> None:
    async with world(settings_with(grant_ttl=0)) as here:
        here.store.begin_outage()
        response = await here.get(RETREAT, here.bearer())
        assert (response.status, response.headers["Retry-After"]) == (503, "2")
