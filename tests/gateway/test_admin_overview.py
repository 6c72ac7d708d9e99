"""What /admin/overview and /admin/history say, and that watchers share it."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin.shared import FRESH
from gbs_actor.observability.history import POINTS, SERIES
from gbs_actor.rooms import RoomCounts, RoomSupervisor
from tests.gateway.serving import OTHER_SLUG, World, settings_with, world


async def shown(here: World, path: str) -> Any:
    response = await here.get(path, here.bearer(role=Role.ADMIN_MINISTER))
    assert response.status == 200
    return response.json()


async def overview(here: World) -> Any:
    """What is shown once the last look is old enough."""
    await trio.sleep(FRESH)
    return await shown(here, "/admin/overview")


async def test_it_counts_rooms_and_edits(autojump_clock: MockClock) -> None:
    async with world() as here:
        await here.rows()
        await here.rows(f"/api/v1/retreat/{OTHER_SLUG}/line-up/user-lineups")
        await here.assign(2, 5)
        rooms = (await overview(here))["rooms"]
        assert (rooms["open"], rooms["states"], rooms["accepted"]) == (2, {"running": 2}, 1)


async def test_edits_of_a_closed_room_still_count(autojump_clock: MockClock) -> None:
    async with world(settings_with(idle_timeout=5)) as here:
        await here.assign(2, 5)
        before = (await overview(here))["rooms"]
        await here.rooms.drain()
        after = (await overview(here))["rooms"]
        assert (before["open"], after["open"]) == (1, 0)
        assert before["accepted"] == after["accepted"] == 1


async def test_it_says_what_is_wrong(autojump_clock: MockClock) -> None:
    async with world() as here:
        fine = await overview(here)
        assert (fine["storeFailure"], fine["draining"]) == (None, False)
        here.store.begin_outage()
        await trio.sleep(2 * here.services.settings.store.write_check_interval)
        here.server.composition.draining = True
        wrong = await overview(here)
        assert wrong["storeFailure"] == "The database does not answer."
        assert wrong["draining"] is True
        assert {each["name"] for each in wrong["limits"]} >= {"max_connections", "pool_size"}


async def test_all_who_look_within_a_second_share_one_look(
    autojump_clock: MockClock, monkeypatch: Any
) -> None:
    looks = 0
    counts = RoomSupervisor.counts

    def counted(rooms: RoomSupervisor) -> RoomCounts:
        nonlocal looks
        looks += 1
        return counts(rooms)

    async with world() as here:
        await here.server.settle()
        monkeypatch.setattr(RoomSupervisor, "counts", counted)
        for _ in range(5):
            await shown(here, "/admin/overview")
        assert looks == 1
        await overview(here)
        assert looks == 2


async def test_the_history_has_all_series(autojump_clock: MockClock) -> None:
    async with world() as here:
        history = await shown(here, "/admin/history")
    assert set(history["series"]) == set(SERIES)
    assert all(len(values) <= POINTS for values in history["series"].values())
