"""The list of rooms: filter, order, pages; and that it costs nothing that is not shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import RoomState, RoomSummary, Tracepoint, room_statistics
from gbs_actor.rooms import listing as listing_module
from gbs_actor.rooms.listing import SORT_KEYS
from gbs_actor.testing.store import Fault

from .peers import Client
from .world import World, world

SLUGS = ("winter", "summer", "Spring", "autumn")
PEOPLE = 8
NO_FIGURES = {"mailboxSize", "restartIn"}
"""The same for all rooms; of rooms that pause only."""


@asynccontextmanager
async def four_rooms() -> AsyncIterator[World]:
    """Open four rooms that differ in what they have done; autumn never ends doing it."""
    async with world(*SLUGS, people=PEOPLE) as w:
        for number, slug in enumerate(SLUGS):
            person = number * PEOPLE + 7
            clients = [await w.client(1 + 2 * n, slug) for n in range(4 - number)]
            await trio.sleep(7)
            w.store.fail(Fault.SLOW if number == 1 else Fault.NONE)
            for value in range(1, number + 2):
                await clients[0].ask(AssignNumber(person, value))
            for value in range(number + 2):
                clients[0].give(clients[0].command(AssignNumber(person, value + 20)))
            await clients[0].subscriber.wait_replied()
        w.bugs.slug, w.bugs.at = "summer", [Tracepoint.TAKEN]
        summer = await w.client(9, "summer")
        await summer.ask(AssignNumber(PEOPLE + 7, 1))
        await trio.sleep(5)
        w.store.fail(Fault.HANGS)
        clients[0].give(clients[0].command(AssignNumber(3 * PEOPLE + 7, 50)))
        await trio.sleep(0.5)
        clients[0].give(clients[0].command(AssignNumber(3 * PEOPLE + 7, 51)))
        yield w


def leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, dict):
            yield from leaves(each, f"{prefix}{name}.")
        else:
            yield prefix + name, each


def as_json(room: RoomSummary) -> dict[str, Any]:
    return dict(leaves(msgspec.json.decode(msgspec.json.encode(room))))


def slugs(rooms: tuple[RoomSummary, ...]) -> list[str]:
    return [room.slug for room in rooms]


async def test_every_figure_can_be_sorted_by(autojump_clock: MockClock) -> None:
    async with four_rooms() as w:
        (room, *_) = w.supervisor.statistics().rooms
        figures = {
            name
            for name, value in as_json(room).items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        assert figures - NO_FIGURES == SORT_KEYS.keys() - {"slug", "state"}


@pytest.mark.parametrize("descending", [False, True])
async def test_the_order_is_that_of_what_is_shown(
    autojump_clock: MockClock, *, descending: bool
) -> None:
    async with four_rooms() as w:
        shown = sorted(w.supervisor.statistics().rooms, key=lambda room: room.slug)
        differ = 0
        for key in SORT_KEYS:
            page = await w.supervisor.page(SLUGS, key, descending=descending)
            values = {room.slug: as_json(room)[key] for room in shown}
            ordered = sorted(values, key=lambda slug: values[slug], reverse=descending)
            assert slugs(page.rooms) == ordered, key
            differ += len(set(values.values())) > 1
        assert differ > len(SORT_KEYS) / 2


async def test_pages_follow_one_another_without_gaps(autojump_clock: MockClock) -> None:
    async with four_rooms() as w:
        whole = await w.supervisor.page(SLUGS, "restarts")
        assert slugs(whole.rooms) == ["Spring", "autumn", "winter", "summer"]
        parts = [
            await w.supervisor.page(SLUGS, "restarts", offset=offset, limit=3)
            for offset in (0, 3, 6)
        ]
        assert [slugs(part.rooms) for part in parts] == [
            ["Spring", "autumn", "winter"],
            ["summer"],
            [],
        ]
        assert {part.total for part in (whole, *parts)} == {4}


async def test_rooms_are_found_by_state_and_by_part_of_their_slug(
    autojump_clock: MockClock,
) -> None:
    async with four_rooms() as w:
        matching = w.supervisor.matching
        assert set(matching()) == set(SLUGS)
        assert set(matching(search="IN")) == {"winter", "Spring"}
        assert matching(RoomState.BACKOFF) == []
        w.bugs.slug, w.bugs.at = "winter", [Tracepoint.TAKEN]
        winter = await w.client(11, "winter")
        await winter.ask(AssignNumber(7, 1))
        assert matching(RoomState.BACKOFF) == ["winter"]
        assert matching(RoomState.BACKOFF, "sum") == []
        assert "winter" not in matching(RoomState.RUNNING)


async def test_a_room_that_has_closed_meanwhile_is_left_out(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client()
        page = await w.supervisor.page(["winter", "summer"])
        assert (slugs(page.rooms), page.total) == (["winter"], 1)
        assert (page.started, page.crashes, page.draining) == (1, 0, False)


async def test_only_what_is_on_the_page_is_summed_up_and_no_subscriber_is_asked(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unasked(Client):
        def statistics(self) -> Any:
            raise AssertionError

    summed_up: list[str] = []

    def counted(room: Any) -> RoomSummary:
        summed_up.append(room.slug)
        return room_statistics.summary_of(room)

    monkeypatch.setattr(listing_module, "summary_of", counted)
    names = [f"room {number:02}" for number in range(30)]
    async with world(*names, people=2) as w:
        for name in names:
            await Unasked(w.supervisor, 1).join(name)
        for key in SORT_KEYS:
            summed_up.clear()
            page = await w.supervisor.page(w.supervisor.matching(), key, offset=10, limit=5)
            assert slugs(page.rooms) == summed_up
            assert len(summed_up) == 5


async def test_a_long_page_lets_other_tasks_run_meanwhile(autojump_clock: MockClock) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    names = [f"room {number:03}" for number in range(300)]
    async with world(*names, people=2) as w, trio.open_nursery() as nursery:
        for name in names:
            await w.client(1, name)
        nursery.start_soon(count_turns)
        page = await w.supervisor.page(w.supervisor.matching(), "commit.p99", limit=150)
        nursery.cancel_scope.cancel()
    assert slugs(page.rooms) == names[:150]
    assert turns >= 3
