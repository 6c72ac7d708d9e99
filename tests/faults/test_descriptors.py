"""Few descriptors, or none left: those at work go on, and newcomers come in."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.server_process import (
    RETREAT,
    ROOT,
    DidNotStart,
    ServerProcess,
    data_folder,
    demo_data,
    running_server,
    start_server,
    token,
)
from tests.faults.editing import IMPATIENT, editing
from tests.faults.postgres_processes import kill, postmaster
from tests.faults.readiness import until_ready
from tests.store.fixtures import copy_folder

DESCRIPTORS = 400
CROWD = 600
"""Silent connections: more than the server may have files open."""
EDITS = 50
DEATHS = 3
PROMPT = 10.0
"""Seconds in which a newcomer has connected, joined and edited."""
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: server.test\r\n\r\n"
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


@asynccontextmanager
async def idle_connections(server: ServerProcess, count: int, source: str) -> AsyncIterator[None]:
    """Hold connections from one address that send nothing, as far as they are let in."""
    async with AsyncExitStack() as held:
        for _ in range(count):
            with trio.move_on_after(1):
                stream = await trio.open_tcp_stream(server.host, server.port, local_address=source)
                held.push_async_callback(trio.aclose_forcefully, stream)
        yield


async def healthy(server: ServerProcess) -> bool:
    """Ask, as a newcomer from another address, whether the server serves."""
    with trio.move_on_after(5):
        async with await trio.open_tcp_stream(server.host, server.port) as stream:
            await stream.send_all(HEALTH)
            return bytes(await stream.receive_some(1_000)).startswith(b"HTTP/1.1 200")
    return False


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


async def test_when_there_are_no_descriptors_at_all_newcomers_are_served() -> None:
    with running_server() as server:
        async with connect(server.url, token(), backoff=IMPATIENT, command_timeout=30) as editor:
            await editor.join(RETREAT)
            person = next(row for row in editor.rows if not row.is_leader)
            # Later than the server has looked: it believes in more than there are.
            limit = open_files(server) + 100
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
            async with idle_connections(server, 300, "127.0.0.2"):
                with trio.fail_after(PROMPT):
                    while "Too many open files" not in server.log():  # noqa: ASYNC110
                        await trio.sleep(0.1)
                assert await healthy(server)
                pid = postmaster(server)
                assert pid is not None
                kill(pid)
                await editor.assign(person.id, 5)
                assert await healthy(server)


def test_far_too_few_files_stop_the_start_with_a_sentence() -> None:
    with pytest.raises(DidNotStart) as failed, running_server(descriptors=150):
        pass
    assert "The process may open only 150 files: raise it to" in failed.value.log
    assert "Traceback" not in failed.value.log
