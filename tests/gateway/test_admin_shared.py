"""What many watchers ask for is made once; and nobody is shown what others may see."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin.shared import FRESH, LONGEST, MAX_KEPT, SharedJson
from gbs_actor.rooms import RoomPage, RoomSupervisor
from tests.gateway.serving import OTHER_SLUG, SLUG, World, world


async def slugs(here: World, query: str = "", **token: Any) -> list[str]:
    response = await here.get(
        f"/admin/rooms{query}", here.bearer(**{"role": Role.ADMIN_MINISTER, **token})
    )
    return [room["slug"] for room in response.json()["rooms"]]


def returning(value: object) -> Callable[[], Awaitable[object]]:
    async def make() -> object:
        return value

    return make


async def test_it_is_made_once_within_a_second(autojump_clock: MockClock) -> None:
    shared, made = SharedJson(), iter(range(10))

    async def following() -> int:
        return next(made)

    first = [await shared.encoded("key", following) for _ in range(3)]
    await trio.sleep(FRESH - 0.01)
    assert [*first, await shared.encoded("key", following)] == [b"0"] * 4
    assert await shared.encoded("other", following) == b"1"
    await trio.sleep(0.01)
    assert await shared.encoded("key", following) == b"2"


async def test_who_asks_while_it_is_made_gets_the_same(autojump_clock: MockClock) -> None:
    shared, made, got = SharedJson(), 0, []

    async def make() -> int:
        nonlocal made
        made += 1
        number = made
        await trio.sleep(3)
        if number == 1:
            raise ValueError("the first one fails")
        return number

    async def ask(key: str) -> None:
        try:
            got.append(await shared.encoded(key, make))
        except ValueError:
            got.append(b"failed")

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask, "key")
    assert got == [b"failed"] + [b"2"] * 9
    with trio.move_on_after(1):
        await ask("other")  # who asks first goes away
    await ask("other")
    assert got[-1] == b"4"


async def test_what_takes_long_is_kept_until_its_share_of_the_time_has_passed(
    autojump_clock: MockClock,
) -> None:
    shared, made = SharedJson(share=0.005), iter(range(10))

    async def following() -> int:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        return next(made)

    assert await shared.encoded("key", following) == b"0"
    await trio.sleep(3.9)
    assert await shared.encoded("key", following) == b"0"
    await trio.sleep(LONGEST - 3.9)
    assert await shared.encoded("key", following) == b"1"


async def test_only_the_latest_are_kept(autojump_clock: MockClock) -> None:
    shared = SharedJson()
    for number in range(10 * MAX_KEPT):
        await shared.encoded(number, returning("x" * 100))
    assert len(shared._kept) == MAX_KEPT
    assert await shared.encoded(10 * MAX_KEPT - 1, returning("new")) == msgspec.json.encode(
        "x" * 100
    )
    assert await shared.encoded(0, returning("new")) == b'"new"'


async def test_watchers_of_the_same_rooms_share_a_page_and_others_do_not(
    autojump_clock: MockClock, monkeypatch: Any
) -> None:
    pages: list[RoomPage] = []
    page = RoomSupervisor.page

    async def counted(*arguments: Any, **options: Any) -> RoomPage:
        pages.append(await page(*arguments, **options))
        return pages[-1]

    monkeypatch.setattr(RoomSupervisor, "page", counted)
    async with world() as here:
        for slug in (SLUG, OTHER_SLUG):
            await here.rows(f"/api/v1/retreat/{slug}/line-up/user-lineups")
        both = sorted((SLUG, OTHER_SLUG))
        for user_id in (7, 8, 9):
            assert await slugs(here, user_id=user_id) == both
        assert len(pages) == 1
        assert await slugs(here, retreats=(SLUG,)) == [SLUG]
        here.store.grant(SLUG, 60, "NOBODY")
        here.services.authorizer.clear_cache()
        assert await slugs(here, user_id=60) == [OTHER_SLUG]
        assert await slugs(here, "?sort=-slug") == both[::-1]
        assert len(pages) == 4
        await trio.sleep(FRESH)
        assert await slugs(here) == both
        assert len(pages) == 5
