"""Real faults under a stream of edits: nothing acknowledged is lost, nothing done twice."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import trio

from tests.e2e.server_process import ServerProcess, running_server, start_server
from tests.faults.editing import editing
from tests.faults.postgres_processes import backends, freeze, kill, postmaster, thaw

KILLS = 20
MOST_KILLS = 3 * KILLS
"""Where a fault is to cut commits, it is repeated until it has done so."""
FREEZES = 5
COMMIT_TIMEOUT = 1.0
EDITS_BETWEEN = 50
"""Edits that are acknowledged between two faults: the server has recovered, then."""

PATIENT_CLIENTS = {"GBS_EVENT_RATE": "100000", "GBS_COMMIT_TIMEOUT": str(COMMIT_TIMEOUT)}


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(environment=PATIENT_CLIENTS, on_disk=True) as running:
        yield running


def cut_commits(server: ServerProcess) -> int:
    """Return how many commits had to be looked up, since their answer was lost."""
    outcomes = server.room()["unknownOutcomes"]
    assert isinstance(outcomes, int)
    return outcomes


async def _restart(server: ServerProcess) -> ServerProcess:
    return await trio.to_thread.run_sync(
        lambda: start_server(
            server.data_dir,
            log_path=server.log_path,
            environment=server.environment,
            port=server.port,
        )
    )


async def test_a_server_killed_twenty_times_keeps_every_acknowledged_edit(
    server: ServerProcess,
) -> None:
    chance = random.Random(1)
    async with editing(server, bulks=True) as editors:
        for _ in range(KILLS):
            await editors.more(EDITS_BETWEEN)
            await trio.sleep(chance.random() * 0.05)  # at any point of a commit
            await trio.to_thread.run_sync(server.kill)
            again = await _restart(server)
            server.process = again.process  # for the fixture that stops it
        await editors.more(EDITS_BETWEEN)


async def test_a_database_killed_twenty_times_keeps_every_acknowledged_edit(
    server: ServerProcess,
) -> None:
    chance = random.Random(2)
    killed = set()
    async with editing(server, bulks=True) as editors:
        for at in range(MOST_KILLS):
            await editors.more(EDITS_BETWEEN)
            if at >= KILLS and cut_commits(server):
                break
            pid = postmaster(server)
            assert pid is not None
            # Its death alone lets busy backends finish first; so every other time they go
            # before it. They are looked up before the wait: while this process searches,
            # its editors are silent, and nothing is under way that could be cut.
            victims = [*backends(server), pid] if at % 2 else [pid]
            await trio.sleep(chance.random() * 0.05)
            for victim in victims:
                kill(victim)
            killed.add(pid)
        assert server.alive()
        assert len(killed) >= KILLS
        assert cut_commits(server) > 0, "no commit was ever cut"


async def test_database_connections_killed_twenty_times_keep_every_acknowledged_edit(
    server: ServerProcess,
) -> None:
    chance = random.Random(3)
    async with editing(server, bulks=True) as editors:
        for at in range(MOST_KILLS):
            await editors.more(EDITS_BETWEEN)
            if at >= KILLS and cut_commits(server):
                break
            victim = chance.choice(backends(server))
            await trio.sleep(chance.random() * 0.05)
            kill(victim)
        assert server.alive()
        assert cut_commits(server) > 0, "no commit was ever cut"


async def test_a_frozen_database_costs_time_and_no_edit(server: ServerProcess) -> None:
    async with editing(server, bulks=True) as editors:
        for _ in range(FREEZES):
            await editors.more(EDITS_BETWEEN)
            frozen = freeze(server)
            assert frozen
            try:
                await trio.sleep(2.5 * COMMIT_TIMEOUT)
            finally:
                thaw(frozen)
        await editors.more(EDITS_BETWEEN)
        assert server.alive()
        # A freeze may also catch a look at the room's version: that costs an answer, no commit.
        assert cut_commits(server) > 0, "no commit was ever cut"
        assert server.room()["restarts"] == 0
