"""SQL that somebody types, on a real database: everybody sees it, in order, and the log has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trio

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Accepted, RoomSupervisor
from gbs_actor.store.postgres.connection import DbConnection, connect
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.verification import verify
from tests.store.other_clients import ask, soon

from .peers import BatchClient, Client
from .retreats import small_seed
from .world import code

MEMBER, PLAIN, OTHER = 2, 7, 8

ASSIGN: Final = """
UPDATE user_retreat_registration SET gbs_id = (SELECT id FROM gbs WHERE number = $2) WHERE id = $1
"""
REGISTER: Final = """
WITH people AS (
    INSERT INTO user_profile (grade_id, gender, name, phone_number)
        SELECT 1, 'MALE', '새사람', '' FROM generate_series(1, $1::integer) RETURNING id
)
INSERT INTO user_retreat_registration (retreat_id, user_id, gbs_id, is_leader, current_leader,
        created_at, updated_at)
    SELECT 1, people.id, gbs.id, false, '', now(), now() FROM people, gbs WHERE gbs.number = 1
    RETURNING id
"""
ABSORB: Final = "SELECT lineup_absorb(id) FROM retreat WHERE slug = $1"

one_of_several = pytest.mark.parametrize("node", [None, "a"])
"""A server that is alone, and one of several."""


class Served:
    """A server on the database, and one client of each form."""

    def __init__(self, store: PostgresStore, supervisor: RoomSupervisor) -> None:
        self.store, self.supervisor = store, supervisor
        self.client, self.batch_client = Client(supervisor, 1), BatchClient(supervisor, 2)
        self.clients = (self.client, self.batch_client)

    async def join(self) -> Client:
        """Return one more client."""
        client = Client(self.supervisor, 3)
        await client.join("winter")
        return client

    async def until_moved(self, person: int, number: int | None) -> None:
        """Return once everybody sees somebody in a group, with its right number of people."""

        def moved() -> bool:
            return all(_seen_in(client, person, number) for client in self.clients)

        await until(moved)

    async def check(self, *kinds: str) -> None:
        """The log has changes of these kinds, and leads to the rows; nobody saw them reordered."""
        retreat = await self.store.load("winter")
        assert retreat is not None
        entries = await self.store.log(retreat.id)
        assert [entry.kind.value for entry in entries] == list(kinds)
        outcome = await verify(self.store, "winter")
        assert outcome is not None
        assert (outcome.faults, outcome.differences) == ((), ())
        assert [client.violations for client in self.clients] == [[], []]


def _seen_in(client: Client, person: int, number: int | None) -> bool:
    row = client.rows.get(person)
    members = sum(each["gbsNumber"] == number for each in client.rows.values())
    return (
        row is not None
        and row["gbsNumber"] == number
        and (number is None or row["totalCount"] == members)
    )


async def until(reached: Callable[[], bool]) -> None:
    """Return once something is so."""
    with trio.fail_after(30):
        while not reached():  # noqa: ASYNC110  (no client says when it has what)
            await trio.sleep(0.01)


@asynccontextmanager
async def served(database_url: str, node: str | None) -> AsyncIterator[Served]:
    """A server with a small retreat that two clients have joined."""
    async with (
        PostgresStore.open(database_url, node=node) as store,
        RoomSupervisor(store).running() as supervisor,
    ):
        await store.import_retreat(small_seed("winter"))
        here = Served(store, supervisor)
        for client in here.clients:
            await client.join("winter")
        yield here


@pytest.fixture
async def psql(database_url: str) -> AsyncIterator[DbConnection]:
    """Somebody who types SQL."""
    connection = await connect(database_url, deadline=soon())
    try:
        yield connection
    finally:
        connection.terminate()


@one_of_several
async def test_a_group_number_is_seen_in_order_with_the_edits_of_others(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        await here.client.ask(AssignNumber(PLAIN, 3))
        await ask(psql, ASSIGN, PLAIN, 1)
        await here.until_moved(PLAIN, 1)
        await here.client.ask(AssignNumber(OTHER, 1))
        await ask(psql, ASSIGN, OTHER, 3)
        assert isinstance(await here.client.ask(AssignNumber(OTHER, None)), Accepted)
        await here.until_moved(OTHER, None)
        await here.check(
            *("assign-number", "external", "assign-number", "external", "assign-number")
        )


@one_of_several
async def test_whoever_registers_is_seen(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        (row,) = await ask(psql, REGISTER, 1)
        await here.until_moved(row["id"], 1)
        assert isinstance(await here.client.ask(AssignNumber(row["id"], 2)), Accepted)
        await here.until_moved(row["id"], 2)
        await here.check("external", "assign-number")


@one_of_several
async def test_whoever_is_deleted_goes(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        await ask(psql, "DELETE FROM user_retreat_registration WHERE id = $1", PLAIN)
        await until(lambda: here.client.aborted and PLAIN not in here.batch_client.rows)
        assert not here.batch_client.aborted
        assert code(await here.batch_client.ask(AssignNumber(PLAIN, 1))) is Code.NOT_FOUND
        await here.check("external")


@one_of_several
async def test_a_cancelled_payment_is_seen(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        full = [client.rows[MEMBER]["isFullAttendance"] for client in here.clients]
        await ask(
            psql,
            "DELETE FROM user_retreat_registration_schedule WHERE registration_id = $1",
            MEMBER,
        )
        await until(
            lambda: not any(client.rows[MEMBER]["isFullAttendance"] for client in here.clients)
        )
        assert full == [True, True]
        await here.check("external")


@one_of_several
async def test_ten_thousand_rows_are_seen(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        rows = await psql.fetch(REGISTER, 10_000, deadline=soon(60))
        await until(lambda: all(client.aborted for client in here.clients))
        client = await here.join()
        assert client.rows.keys() > {row["id"] for row in rows}
        assert client.rows[rows[0]["id"]]["totalCount"] == 10_002
        await here.check("external")


@one_of_several
async def test_a_truncated_table_is_seen(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        await ask(psql, "TRUNCATE user_retreat_registration CASCADE")
        await until(lambda: all(client.aborted for client in here.clients))
        assert (await here.join()).rows == {}
        await here.check("external")


@one_of_several
async def test_an_open_transaction_keeps_nobody_waiting_and_is_seen_when_it_ends(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        async with psql.transaction(deadline=soon(60)):
            await ask(psql, ASSIGN, PLAIN, 1)
            await ask(psql, REGISTER, 1)
            for number in (3, None, 2):
                assert isinstance(await here.client.ask(AssignNumber(OTHER, number)), Accepted)
            assert code(await here.client.ask(AssignNumber(PLAIN, 2))) is Code.ROOM_BUSY
            assert all(client.rows[PLAIN]["gbsNumber"] is None for client in here.clients)
        await here.until_moved(PLAIN, 1)
        await here.check(*["assign-number"] * 3, "external")


@one_of_several
async def test_a_row_that_is_locked_before_it_is_changed_is_not_overwritten(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        async with psql.transaction(deadline=soon(60)):
            await ask(psql, "SELECT FROM user_retreat_registration WHERE id = $1 FOR UPDATE", PLAIN)
            revision = here.client.handed
            pending = here.client.give(here.client.command(AssignNumber(PLAIN, 2), base=revision))
            assert isinstance(await here.batch_client.ask(AssignNumber(OTHER, 3)), Accepted)
            await here.client.subscriber.wait_replied()
            assert code(pending.answers[0]) is Code.ROOM_BUSY
            await ask(psql, ASSIGN, PLAIN, 1)
        answer = await here.client.ask(AssignNumber(PLAIN, 2), base=revision)
        assert code(answer) is Code.CONFLICT
        await here.until_moved(PLAIN, 1)
        await here.check("assign-number", "external")


@one_of_several
async def test_what_is_rolled_back_is_never_seen(
    database_url: str, psql: DbConnection, node: str | None
) -> None:
    async with served(database_url, node) as here:
        await psql.execute("BEGIN", deadline=soon())
        await ask(psql, ASSIGN, PLAIN, 1)
        await ask(psql, REGISTER, 1)
        await psql.execute("ROLLBACK", deadline=soon())
        await ask(psql, ASSIGN, OTHER, 1)
        await here.until_moved(OTHER, 1)
        assert all(client.rows[PLAIN]["gbsNumber"] is None for client in here.clients)
        assert all(client.rows.keys() == set(range(1, 9)) for client in here.clients)
        await here.check("external")


@one_of_several
@pytest.mark.parametrize("statement", ["SELECT lineup_reload($1)", ABSORB])
async def test_an_idle_room_sees_what_no_trigger_notes_or_somebody_else_absorbs(
    database_url: str, psql: DbConnection, node: str | None, statement: str
) -> None:
    async with served(database_url, node) as here:
        client = here.client
        if statement != ABSORB:
            await ask(psql, "SET session_replication_role = replica")
        await psql.fetch("BEGIN", deadline=soon())
        await ask(
            psql, "UPDATE user_retreat_registration SET is_leader = true WHERE id = $1", OTHER
        )
        await ask(psql, statement, "winter")
        await psql.fetch("COMMIT", deadline=soon())
        # It is told, or has to load all of it.
        await until(lambda: client.aborted or client.rows[OTHER]["isLeader"])
        again = await here.join()
        assert again.rows[OTHER]["isLeader"]
