"""LISTEN and NOTIFY on a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from gbs_actor.store.postgres.connection import ConnectionLost, DbConnection, ServerRefused
from gbs_actor.store.postgres.notifications import Notifications, listening
from tests.store.other_clients import ask, soon, terminate_others

CHANNEL = 'a "channel"'


@asynccontextmanager
async def session(dsn: str, received: list[str]) -> AsyncIterator[Notifications]:
    async with listening(dsn, CHANNEL, received.append, deadline=soon()) as notifications:
        yield notifications


async def test_its_own_notifications_have_arrived_when_it_has_notified(database_url: str) -> None:
    received: list[str] = []
    async with session(database_url, received) as notifications:
        await notifications.notify(["one", "two", "x" * 7_999])
        await notifications.notify(["three"])
        assert received == ["one", "two", "x" * 7_999, "three"]


async def test_those_of_others_arrive_while_it_receives(
    database_url: str, outside: DbConnection
) -> None:
    received: list[str] = []
    async with session(database_url, received) as notifications:
        await ask(outside, "SELECT pg_notify($1, 'news')", CHANNEL)
        await ask(outside, "SELECT pg_notify('another channel', 'other news')")
        with trio.fail_after(10):
            while not received:
                with trio.move_on_after(0.05):
                    await notifications.receive()
        assert received == ["news"]


async def test_receiving_can_be_cancelled_without_an_effect(database_url: str) -> None:
    received: list[str] = []
    async with session(database_url, received) as notifications:
        for number in range(3):
            with trio.move_on_after(0.01):
                await notifications.receive()
            await notifications.notify([str(number)])
        assert received == ["0", "1", "2"]


async def test_what_is_too_long_is_refused(database_url: str) -> None:
    async with session(database_url, []) as notifications:
        with pytest.raises(ServerRefused, match="payload string too long"):
            await notifications.notify(["x" * 8_000])


async def test_receiving_ends_with_the_connection(database_url: str, outside: DbConnection) -> None:
    async with session(database_url, []) as notifications:
        await terminate_others(outside)
        with trio.fail_after(10):
            with pytest.raises(ConnectionLost):
                await notifications.receive()
            with pytest.raises(ConnectionLost):
                await notifications.notify(["too late"])


async def test_the_session_can_be_recognised_and_ends_with_the_block(
    database_url: str, outside: DbConnection
) -> None:
    async def sessions() -> int:
        (row,) = await ask(
            outside,
            "SELECT count(*) AS number FROM pg_stat_activity "
            "WHERE application_name = 'gbs_actor bus' AND datname = current_database()",
        )
        return int(row["number"])

    async with session(database_url, []):
        assert await sessions() == 1
    with trio.fail_after(10):
        while await sessions():  # noqa: ASYNC110  (the server tells nobody)
            await trio.sleep(0.01)
