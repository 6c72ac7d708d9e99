"""A server that may open few files, and strangers who hold as many connections as they can."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.server_process import RETREAT, DidNotStart, ServerProcess, running_server, token
from tests.faults.editing import IMPATIENT
from tests.faults.postgres_processes import postmaster

FILES = 400
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: server.test\r\n\r\n"


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


async def kill_postgres(server: ServerProcess) -> None:
    """Kill PostgreSQL, and wait until there is another one."""
    killed = postmaster(server)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    with trio.fail_after(30):
        # It notifies nobody outside the server.
        while postmaster(server) in {killed, None}:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def test_with_few_files_newcomers_are_served_and_postgres_restarts() -> None:
    with running_server(descriptors=FILES) as server:
        assert f"the process may open only {FILES} files" in server.log()
        async with connect(server.url, token(), backoff=IMPATIENT, command_timeout=30) as editor:
            await editor.join(RETREAT)
            person = next(row for row in editor.rows if not row.is_leader)
            async with idle_connections(server, FILES * 2, "127.0.0.2"):
                assert await healthy(server)
                await editor.assign(person.id, 3)
                await kill_postgres(server)
                await editor.assign(person.id, 4)
                assert await healthy(server)
                assert len(os.listdir(f"/proc/{server.pid}/fd")) < FILES
        assert "accepting a connection failed" not in server.log()


async def test_when_there_are_no_descriptors_at_all_newcomers_are_served() -> None:
    with running_server() as server:
        async with connect(server.url, token(), backoff=IMPATIENT, command_timeout=30) as editor:
            await editor.join(RETREAT)
            person = next(row for row in editor.rows if not row.is_leader)
            # Later than the server has looked: it believes in more than there are.
            limit = len(os.listdir(f"/proc/{server.pid}/fd")) + 100
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
            async with idle_connections(server, 300, "127.0.0.2"):
                assert "Too many open files" in server.log()
                assert await healthy(server)
                await kill_postgres(server)
                await editor.assign(person.id, 5)
                assert await healthy(server)


def test_far_too_few_files_stop_the_start_with_a_sentence() -> None:
    with pytest.raises(DidNotStart) as failed, running_server(descriptors=150):
        pass
    assert "The process may open only 150 files: raise it to" in failed.value.log
    assert "Traceback" not in failed.value.log
