"""The load generator against real servers: what it counts is what has happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import ModuleType

import pytest
import trio

from scripts.bench.installation import Installation
from scripts.bench.load_generator import Clients, LoadGenerator
from scripts.bench.peers import bare_send, socketio_alone
from scripts.bench.postgres import ROOT
from scripts.bench.servers import Server, free_port
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler"
)

ROOMS = {"first": [11, 12, 13], "second": [21, 22]}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("bench"))
    trio.run(made.set_up, [], lambda _: None)
    return made


@asynccontextmanager
async def load_on(
    program: ModuleType, installation: Installation, rooms: dict[str, list[int]]
) -> AsyncIterator[LoadGenerator]:
    """Run one of the peers that need no database, and the load generator."""
    port = free_port()
    process = await trio.lowlevel.open_process(
        [sys.executable, str(program.__file__)],
        env={**os.environ, "PORT": str(port), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
    )
    try:
        with trio.fail_after(30):
            while True:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                except OSError:
                    await trio.sleep(0.02)
                else:
                    break
        server = Server("bare", port, process.pid)
        async with Clients(installation, lambda: 0.0).of(server, rooms) as load:
            yield load
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """The whole server, with the demo's data."""
    with running_server() as running:
        yield running


@pytest.fixture
async def bare(installation: Installation) -> AsyncIterator[LoadGenerator]:
    """A load generator on the bare loop of send, which knows one room."""
    async with load_on(bare_send, installation, {"first": [11, 12, 13]}) as load:
        yield load


@pytest.fixture
async def alone(installation: Installation) -> AsyncIterator[LoadGenerator]:
    """A load generator on our Socket.IO server, which acknowledges everything."""
    async with load_on(socketio_alone, installation, ROOMS) as load:
        yield load


async def test_every_edit_reaches_every_subscriber(bare: LoadGenerator) -> None:
    connected = await bare.connect(7)
    assert (connected["connected"], connected["ended"]) == (7, 0)
    outcome = await bare.serial(20)
    assert (outcome["acked"], outcome["updates"], outcome["missing"]) == (20, 140, 0)
    assert 0 < outcome["ms_per_edit"] < 1_000
    assert outcome.server_cpu > 0
    assert bare.errors == 0


async def test_edits_at_a_rate_take_their_time(bare: LoadGenerator) -> None:
    await bare.connect(4)
    outcome = await bare.paced(100, 30)
    # A busy machine is late for some.
    assert outcome["acked"] + outcome["skipped"] == 30
    assert outcome["updates"] == 4 * outcome["acked"] > 0
    assert 0.29 < outcome["seconds"] < 5
    to_ack, to_last = outcome.percentiles("ack_ms"), outcome.percentiles("last_screen_ms")
    assert 0 < to_ack[0] <= to_ack[1] <= to_ack[2]
    assert 0 < to_last[0] <= to_last[1] <= to_last[2]
    assert bare.errors == 0


async def test_at_full_speed_everybody_edits_until_the_end(bare: LoadGenerator) -> None:
    await bare.connect(3)
    outcome = await bare.full_speed(0.3)
    assert outcome["acked"] > 3
    assert outcome["updates"] == outcome["updates_expected"] == 3 * outcome["acked"]
    assert bare.errors == 0


async def test_commands_follow_each_other_and_clients_add_up(bare: LoadGenerator) -> None:
    await bare.connect(2)
    await bare.connect(3)
    await bare.look_every(300)
    assert (await bare.serial(4))["updates"] == 20
    assert (await bare.serial(2))["updates"] == 10
    assert (await bare.idle(0.1))["ready"] == 5


async def test_every_client_gets_an_ack_for_each_of_its_events(alone: LoadGenerator) -> None:
    await alone.connect(30, join=False)
    assert (await alone.events(5, ["message", {"a": 1}]))["acked"] == 150
    assert alone.errors == 0


async def test_clients_that_begin_with_polling_upgrade_and_edit(
    installation: Installation, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = server.get(f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token())
    memos = [row["lineupMemoId"] for row in rows["userRetreatGbsLineups"] if row["lineupMemoId"]]
    monkeypatch.setattr("scripts.bench.load_generator.tokens", lambda: (token(),))
    ours = Server("ours", server.port, server.pid)
    async with Clients(installation, lambda: 0.0).of(ours, {RETREAT: memos}) as load:
        assert (await load.connect(20, polling=True))["connected"] == 20
        outcome = await load.serial(10)
    assert (outcome["acked"], outcome["updates"], load.errors) == (10, 200, 0)


async def test_a_refused_join_and_a_lost_server_are_errors(alone: LoadGenerator) -> None:
    connected = await alone.connect(3)  # it echoes the slug, which is no success
    assert (connected["connected"], connected["ended"]) == (0, 3)
    assert alone.errors == 3
