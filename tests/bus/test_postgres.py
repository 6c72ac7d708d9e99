"""The bus by LISTEN and NOTIFY, over a real PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from gbs_actor.bus import Hint
from gbs_actor.bus.postgres import CHANNEL, postgres_channel
from gbs_actor.store.embedded.postmaster import processes_of
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.connection import connect
from tests.bus.running import (
    EPOCH,
    bus,
    disconnected,
    presence_passes,
    received,
    running,
    until,
    until_back,
    until_gap,
    until_hint,
)
from tests.bus.servers import wire
from tests.store.fixtures import PostgresCluster, public_temporary_folder
from tests.store.other_clients import ask, soon, terminate_others


def socket_of(dsn: str) -> Path:
    (folder,) = parse_qs(urlsplit(dsn).query)["host"]
    return Path(folder, ".s.PGSQL.5432")


async def test_presence_reaches_the_other_nodes_and_so_does_a_leave(database_url: str) -> None:
    first, second = (bus(node, postgres_channel(database_url)) for node in "ab")
    await presence_passes(first, second)


async def test_hints_reach_the_other_nodes(database_url: str) -> None:
    first, second = (bus(node, postgres_channel(database_url)) for node in "ab")
    async with running(first, second):
        first.publish(1, EPOCH, 5)
        await until_hint(second, Hint(1, EPOCH, 5))
        second.publish(1, EPOCH, 6)
        await until_hint(first, Hint(1, EPOCH, 6))
        await until(first, lambda statistics: statistics.lag is not None)


async def test_hints_of_many_retreats_arrive(database_url: str) -> None:
    first, second = (bus(node, postgres_channel(database_url)) for node in "ab")
    async with running(first, second):
        for retreat in range(2_000):
            first.publish(retreat, "0123456789abcdef", 5)
        got: set[int] = set()
        while len(got) < 2_000:
            got |= {hint.retreat_id for hint in (await received(second)).latest}


@pytest.fixture
def other_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """Another database of the same server."""
    with postgres_cluster.fresh_database(migrated=False) as dsn:
        yield dsn


async def test_another_database_of_the_server_does_not_hear_of_them(
    database_url: str, other_url: str
) -> None:
    first, second = (bus(node, postgres_channel(database_url)) for node in "ab")
    other = bus("c", postgres_channel(other_url))
    async with running(first, second, other):
        first.publish(1, EPOCH, 5)
        await until_hint(second, Hint(1, EPOCH, 5))
        await until(other, lambda statistics: statistics.own > 1)
        assert other.statistics().received == 0


async def test_what_somebody_else_notifies_is_a_gap(database_url: str) -> None:
    first = bus("a", postgres_channel(database_url))
    async with running(first):
        connection = await connect(database_url, deadline=soon())
        await ask(connection, "SELECT pg_notify($1, 'Hello!')", CHANNEL)
        connection.terminate()
        await until_gap(first)
        assert first.statistics().unreadable == 1


async def test_a_connection_that_an_administrator_ends_is_made_again(database_url: str) -> None:
    first, second = (bus(node, postgres_channel(database_url)) for node in "ab")
    async with running(first, second):
        connection = await connect(database_url, deadline=soon())
        await terminate_others(connection)
        connection.terminate()
        first.publish(1, EPOCH, 5)
        for each in (first, second):
            await until(each, lambda statistics: statistics.failures > 0)
        await until_back(first, second)
        first.publish(1, EPOCH, 6)
        await until_hint(second, Hint(1, EPOCH, 6))


async def test_a_half_open_connection_is_noticed(database_url: str) -> None:
    name = urlsplit(database_url).path
    first = bus("a", postgres_channel(database_url))
    async with wire(socket_of(database_url)) as (line, port):
        second = bus("b", postgres_channel(f"postgresql://gbs_actor@127.0.0.1:{port}{name}"))
        async with running(first, second):
            line.swallows = True
            await until(second, disconnected)
            second.publish(2, EPOCH, 7)
            line.swallows = False
            await until_hint(first, Hint(2, EPOCH, 7))
            await until_gap(second)


async def test_a_password_appears_nowhere() -> None:
    only = bus("a", postgres_channel("postgresql://me:geheim@127.0.0.1:1/name"))
    async with trio.open_nursery() as nursery:
        await nursery.start(only.run)
        assert only.statistics().failures == 1
        assert "geheim" not in str(only.statistics())
        nursery.cancel_scope.cancel()


class TestFaultsOfTheServer:
    """On a PostgreSQL of the test's own, to be maltreated."""

    @pytest.fixture
    def base(self) -> Iterator[Path]:
        with public_temporary_folder() as folder:
            yield folder / "postgres"

    @contextmanager
    def frozen(self, base: Path) -> Iterator[None]:
        with processes_of(base / "pgdata") as processes:
            for process in processes:
                process.send(signal.SIGSTOP)
            try:
                yield
            finally:
                for process in processes:
                    process.send(signal.SIGCONT)

    async def test_a_killed_and_a_frozen_server(self, base: Path) -> None:
        embedded = EmbeddedPostgres(base)
        async with embedded.running():
            first, second = (bus(node, postgres_channel(embedded.dsn)) for node in "ab")
            async with running(first, second):
                with self.frozen(base):
                    first.publish(1, EPOCH, 5)
                    await until(first, disconnected)
                    await until(second, disconnected)
                await until_back(first, second)
                first.publish(1, EPOCH, 6)
                await until_hint(second, Hint(1, EPOCH, 6))

                pid = (base / "pgdata" / "postmaster.pid").read_text().split("\n", 1)[0]
                os.kill(int(pid), signal.SIGKILL)
                await until(first, disconnected)
                await until(second, disconnected)
                first.publish(1, EPOCH, 7)
                await until_back(first, second)
                first.publish(1, EPOCH, 8)
                await until_hint(second, Hint(1, EPOCH, 8))
