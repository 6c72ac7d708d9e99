"""What becomes of the child process that reads an upload when its client or its server ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trio

from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.sheets.making import with_sheet

IMPORTS = f"/api/v1/retreat/{RETREAT}/line-up/imports"
LONG = with_sheet("<worksheet><sheetData>" + "<row/>" * 2**23 + "</sheetData></worksheet>")
"""Takes a second to read."""


@pytest.fixture(params=[False, True], ids=["gbs-actor", "hypercorn"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    environment = {"GBS_SHUTDOWN_GRACE": "1", "GBS_IMPORTS_AT_ONCE_PER_USER": "1"}
    with running_server(environment=environment, hosted=request.param) as running:
        yield running


def parent(pid: int) -> int:
    """Return the process that has started another one; 0: none, or it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def is_reading(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return b"sheets/child.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def children(server: ServerProcess) -> list[int]:
    """Return the processes that read files for a server, or for a worker of it."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [
        pid for pid in pids if is_reading(pid) and server.pid in {parent(pid), parent(parent(pid))}
    ]


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(20):  # longer, and the server would end the child as too slow
        while not condition():  # noqa: ASYNC110  (no event: it is about other processes)
            await trio.sleep(0.005)


async def stopped_child(server: ServerProcess) -> int:
    """Return the child that reads, stopped: so it does not end by itself."""
    await until(lambda: children(server))
    (pid,) = children(server)
    os.kill(pid, signal.SIGSTOP)
    return pid


async def upload(server: ServerProcess, data: bytes = LONG) -> int:
    """Return the status of the response; 0: there is none."""
    headers = {"Authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http:
        with suppress(httpx.TransportError):
            return (await http.post(IMPORTS, content=data)).status_code
    return 0


async def test_the_end_of_the_server_kills_the_child(server: ServerProcess) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload, server)
        child = await stopped_child(server)
        assert await trio.to_thread.run_sync(server.stop) == 0
    await until(lambda: parent(child) == 0)  # stopped, it would stay


async def test_a_file_whose_client_is_gone_is_read_to_its_end_and_then_forgotten(
    server: ServerProcess,
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload, server)
        child = await stopped_child(server)
        assert await upload(server, b"x") == 429
        nursery.cancel_scope.cancel()
    os.kill(child, signal.SIGCONT)
    await until(lambda: parent(child) == 0)
    with trio.fail_after(20):
        while (status := await upload(server, b"x")) == 429:
            pass
    assert status == 200
