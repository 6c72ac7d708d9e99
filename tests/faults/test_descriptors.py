"""No descriptors left: those at work go on, and newcomers come in again."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.server_process import (
    RETREAT,
    ROOT,
    ServerProcess,
    data_folder,
    demo_data,
    start_server,
    token,
)
from tests.faults.editing import IMPATIENT, editing
from tests.faults.postgres_processes import kill, postmaster
from tests.faults.readiness import until_ready
from tests.store.fixtures import copy_folder

DESCRIPTORS = 256
CROWD = 400
"""Silent connections: more than the server may have files open."""
EDITS = 50
DEATHS = 3
PROMPT = 10.0
"""Seconds in which a newcomer has connected, joined and edited."""
ENVIRONMENT = {"GBS_EVENT_RATE": "100000", "GBS_COMMIT_TIMEOUT": "1"}


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server that may open few files, and nobody can allow it more."""
    with data_folder() as data_dir:
        copy_folder(demo_data(), data_dir)
        server = start_server(
            data_dir,
            log_path=data_dir.with_name("log"),
            environment=ENVIRONMENT,
            descriptors=DESCRIPTORS,
        )
        try:
            yield server
        finally:
            if server.alive():
                server.stop()


@asynccontextmanager
async def crowd(server: ServerProcess) -> AsyncIterator[None]:
    """Silent connections from one place, replaced when they are closed, within the block."""
    attacker = [
        *(sys.executable, "-m", "scripts.attack.attacker", "silent-connections"),
        *("--port", str(server.port), "--seconds", "600", "--scale", str(CROWD / 1_400)),
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(trio.run_process, attacker, capture_stdout=True, cwd=ROOT, check=False)
        )
        with trio.fail_after(30):
            former, now = 0, open_files(server)
            while now < DESCRIPTORS / 2 or now > former:
                await trio.sleep(0.5)
                former, now = now, open_files(server)
        yield
        nursery.cancel_scope.cancel()


def open_files(server: ServerProcess) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


async def newcomer(server: ServerProcess) -> None:
    """Connect, join and edit once."""
    with trio.fail_after(PROMPT):
        async with connect(server.url, token(500, "새 간사"), backoff=IMPATIENT) as client:
            await client.join(RETREAT)
            row = next(row for row in client.rows if not row.is_leader)
            await client.assign(row.id, 9_000)


async def test_who_is_at_work_goes_on_and_newcomers_come_in_again(server: ServerProcess) -> None:
    async with editing(server) as editors:
        await editors.more(EDITS)
        async with crowd(server):
            await editors.more(EDITS)
        await newcomer(server)
        await editors.more(EDITS)
    assert server.alive(), server.log()[-4000:]


async def test_newcomers_are_served_beside_a_silent_crowd(server: ServerProcess) -> None:
    async with crowd(server):
        await newcomer(server)
    assert server.alive(), server.log()[-4000:]


async def test_a_database_that_dies_meanwhile_comes_back(server: ServerProcess) -> None:
    async with editing(server) as editors:
        await editors.more(EDITS)
        async with crowd(server):
            for _ in range(DEATHS):
                pid = postmaster(server)
                assert pid is not None, server.log()[-4000:]
                kill(pid)
                await editors.more(EDITS)
        await until_ready(server)
        await editors.more(EDITS)
    assert server.alive(), server.log()[-4000:]
