"""Faults under stock Hypercorn, and its ends: nothing acknowledged is lost or done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import trio

from gbs_actor.cli.signals import MARGIN
from gbs_actor.store.embedded.postmaster import processes_of
from tests.e2e.server_process import ServerProcess, running_server
from tests.faults.editing import Editors, editing
from tests.faults.postgres_processes import freeze, kill, postmaster, thaw

pytestmark = pytest.mark.faults

COMMIT_TIMEOUT = 1.0
GRACE = 3.0
EDITS = 50
"""Edits that are acknowledged before a fault, and after it."""
ROUNDS = 3


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    environment = {
        "GBS_EVENT_RATE": "100000",
        "GBS_COMMIT_TIMEOUT": str(COMMIT_TIMEOUT),
        "GBS_SHUTDOWN_GRACE": str(GRACE),
    }
    with running_server(environment=environment, hosted=True, on_disk=True) as running:
        yield running


def worker(server: ServerProcess) -> int | None:
    """Return the process of Hypercorn's that serves; ``None`` while there is none."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in children:
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    return None


async def another_worker(server: ServerProcess, former: int | None) -> None:
    """Wait until Hypercorn has put another worker in the place of one."""
    with trio.fail_after(20):
        # Nobody is told of it.
        while worker(server) in {former, None}:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def killed(server: ServerProcess) -> None:
    pid = postmaster(server)
    assert pid is not None
    kill(pid)


async def frozen(server: ServerProcess) -> None:
    processes = freeze(server)
    assert processes
    try:
        await trio.sleep(2.5 * COMMIT_TIMEOUT)
    finally:
        thaw(processes)


async def locked(server: ServerProcess) -> None:
    async def lock() -> None:
        connection = await asyncpg.connect(server.dsn)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE retreat IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(2.5 * COMMIT_TIMEOUT)
        finally:
            await connection.close()

    await trio.to_thread.run_sync(lambda: asyncio.run(lock()))


@pytest.mark.parametrize("fault", [killed, frozen, locked])
async def test_a_fault_of_the_database_costs_no_edit(
    server: ServerProcess, fault: Callable[[ServerProcess], Awaitable[None]]
) -> None:
    async with editing(server) as editors:
        for _ in range(ROUNDS):
            await editors.more(EDITS)
            await fault(server)
        await editors.more(EDITS)
        assert server.alive()


async def test_a_kill_of_the_server_costs_no_edit(server: ServerProcess) -> None:
    async with editing(server) as editors:
        for _ in range(ROUNDS):
            await editors.more(EDITS)
            await trio.to_thread.run_sync(server.kill_and_start_again)
        await editors.more(EDITS)


async def test_a_stop_and_a_start_cost_no_edit(server: ServerProcess) -> None:
    async with editing(server) as editors:
        for _ in range(ROUNDS):
            await editors.more(EDITS)
            assert await trio.to_thread.run_sync(server.stop) == 0
            await trio.to_thread.run_sync(server.start_again)
        await editors.more(EDITS)


async def _restarted(server: ServerProcess, editors: Editors, number: int, *, master: bool) -> None:
    for _ in range(ROUNDS):
        await editors.more(EDITS)
        former = worker(server)
        assert former is not None
        os.kill(server.pid if master else former, number)
        await another_worker(server, former)
    await editors.more(EDITS)


async def test_a_restart_of_the_worker_costs_no_edit(server: ServerProcess) -> None:
    async with editing(server) as editors:
        await _restarted(server, editors, signal.SIGHUP, master=True)


async def test_a_worker_that_is_told_to_end_itself_ends_in_good_order(
    server: ServerProcess,
) -> None:
    # As all of a service's processes are, by a service manager that knows no better.
    async with editing(server) as editors:
        await _restarted(server, editors, signal.SIGTERM, master=False)
    assert server.log().count("ending: commands under way are finished") == ROUNDS


async def test_a_server_whose_database_is_frozen_ends_in_time_and_loses_nothing(
    server: ServerProcess,
) -> None:
    async with editing(server) as editors:
        await editors.more(EDITS)
        assert freeze(server)
        began = time.monotonic()
        assert await trio.to_thread.run_sync(server.stop) == 0
        # 1: Hypercorn's own. The end of a process takes no more time than its start.
        assert time.monotonic() - began < 1 + GRACE + MARGIN + server.started_in
        with processes_of(server.pgdata) as left:
            assert left == []
        await trio.to_thread.run_sync(server.start_again)
        await editors.more(EDITS)
