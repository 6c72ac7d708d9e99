"""Other programs that write the tables: what rooms and their clients get of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber, CreateMemo, Undo
from gbs_actor.lineup.records import Memo, Registration
from gbs_actor.rooms import Accepted, RoomSupervisor
from gbs_actor.testing.store import SimStore

from .peers import BatchClient, Client, Lineups
from .retreats import small_seed
from .world import code

PLAIN, OTHER = 7, 8


@asynccontextmanager
async def served(*, shared: bool = False) -> AsyncIterator[tuple[RoomSupervisor, SimStore]]:
    """A server on a store that other programs write to."""
    store = SimStore(identity="test", shared=shared, written_by_others=True)
    await store.import_retreat(small_seed("winter"))
    async with RoomSupervisor(store).running() as supervisor:
        yield supervisor, store


async def joined(supervisor: RoomSupervisor, user_id: int = 1) -> tuple[Client, BatchClient]:
    """One client of each form."""
    clients = Client(supervisor, user_id), BatchClient(supervisor, user_id + 100)
    for client in clients:
        await client.join("winter")
    return clients


async def stored(store: SimStore, registration_id: int, **values: Any) -> Registration:
    """Return a registration with other values."""
    retreat = await store.load("winter")
    assert retreat is not None
    found = next(each for each in retreat.registrations if each.id == registration_id)
    return replace(found, **values)


@pytest.mark.parametrize("shared", [False, True])
async def test_what_another_program_has_changed_reaches_everybody(
    autojump_clock: MockClock, shared: bool
) -> None:
    async with served(shared=shared) as (supervisor, store):
        clients = await joined(supervisor)
        store.write_outside("winter", [await stored(store, PLAIN, gbs_number=1)])
        await trio.sleep(1)
        assert [client.rows[PLAIN]["gbsNumber"] for client in clients] == [1, 1]
        totals = [client.rows[PLAIN]["totalCount"] for client in clients]
        assert totals == [sum(row["gbsNumber"] == 1 for row in clients[0].rows.values())] * 2
        (message,) = [it for _, it in clients[1].transcript if isinstance(it, Lineups)]
        (change,) = message.payload["changes"]
        assert (change["kind"], change["by"]) == (
            "external",
            {"userId": None, "userName": "external"},
        )
        assert change["ids"] == [PLAIN]


async def test_a_command_of_who_has_not_seen_it_is_a_conflict(autojump_clock: MockClock) -> None:
    async with served() as (supervisor, store):
        client, _ = await joined(supervisor)
        store.write_outside("winter", [await stored(store, PLAIN, memo=Memo(99, "창가", ""))])
        answer = await client.ask(CreateMemo(PLAIN, "복도", ""), base=0)
        assert isinstance(answer, Rejection)
        assert answer.conflict is not None
        assert (answer.code, answer.conflict.changed_by) == (Code.CONFLICT, "external")
        assert answer.conflict.revision == 1


async def test_who_was_removed_is_removed_in_the_batch_form_and_the_others_load_all_of_it(
    autojump_clock: MockClock,
) -> None:
    async with served() as (supervisor, store):
        client, batch_client = await joined(supervisor)
        await client.ask(AssignNumber(PLAIN, 1))
        store.write_outside("winter", removed=[PLAIN])
        await trio.sleep(1)
        assert client.aborted
        assert not batch_client.aborted
        assert PLAIN not in batch_client.rows
        anew = Client(supervisor, 5)
        await anew.join("winter", since=1)
        assert anew.snapshot is not None
        assert anew.snapshot.full
        assert anew.rows.keys() == batch_client.rows.keys()
        in_group = [row for row in batch_client.rows.values() if row["gbsNumber"] == 1]
        assert {row["totalCount"] for row in in_group} == {len(in_group)}
        assert code(await anew.ask(AssignNumber(PLAIN, 1))) is Code.NOT_FOUND
        assert batch_client.violations == []


async def test_who_is_removed_and_registered_again_is_there(autojump_clock: MockClock) -> None:
    async with served() as (supervisor, store):
        _, batch_client = await joined(supervisor)
        person = await stored(store, PLAIN)
        store.write_outside("winter", removed=[PLAIN])
        store.write_outside("winter", [person])
        await trio.sleep(1)
        assert batch_client.rows[PLAIN]["revision"] == 2


async def test_a_change_of_the_whole_retreat_makes_everybody_load_all_of_it(
    autojump_clock: MockClock,
) -> None:
    async with served() as (supervisor, store):
        clients = await joined(supervisor)
        store.write_outside("winter", [await stored(store, PLAIN, gbs_number=1)], whole=True)
        await trio.sleep(1)
        assert [client.aborted for client in clients] == [True, True]
        anew = Client(supervisor, 5)
        await anew.join("winter", since=1)
        assert anew.snapshot is not None
        assert anew.snapshot.full
        assert anew.rows[PLAIN]["gbsNumber"] == 1


async def test_it_cannot_be_undone(autojump_clock: MockClock) -> None:
    async with served() as (supervisor, store):
        client, _ = await joined(supervisor)
        store.write_outside("winter", [await stored(store, PLAIN, gbs_number=1)])
        await trio.sleep(1)
        answer = await client.ask(Undo(revision=1, by_operator=True))
        assert code(answer) is Code.VALIDATION_FAILED
        assert client.rows[PLAIN]["gbsNumber"] == 1


async def test_the_undo_of_a_change_that_it_has_replaced_is_a_conflict(
    autojump_clock: MockClock,
) -> None:
    async with served() as (supervisor, store):
        client, _ = await joined(supervisor)
        assert isinstance(await client.ask(AssignNumber(PLAIN, 3)), Accepted)
        assert isinstance(await client.ask(AssignNumber(OTHER, 3)), Accepted)
        store.write_outside("winter", [await stored(store, PLAIN, gbs_number=1)])
        assert code(await client.ask(Undo(revision=1))) is Code.CONFLICT
        assert isinstance(await client.ask(Undo(revision=2)), Accepted)
