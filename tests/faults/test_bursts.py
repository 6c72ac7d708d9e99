"""Bursts of HTTP requests, while somebody edits and somebody else comes new."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.server_process import RETREAT, ROOT, ServerProcess, running_server, token
from tests.faults.flood import TIMEOUT

SOURCES = [f"127.0.0.{number}" for number in range(2, 8)]
LIST = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: server.test\r\nConnection: close\r\n\r\n"


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(environment={"GBS_EVENT_RATE": "100000"}) as running:
        yield running


async def flood(server: ServerProcess, count: int) -> dict[str, object]:
    arguments = [server.host, str(server.port), str(count), ",".join(SOURCES), LIST, token()]
    done = await trio.run_process(
        [sys.executable, "-m", "tests.faults.flood", *arguments],
        capture_stdout=True,
        cwd=ROOT,
    )
    outcome: dict[str, object] = json.loads(done.stdout)
    return outcome


async def test_a_burst_of_requests_delays_neither_edits_nor_newcomers(
    server: ServerProcess,
) -> None:
    edits: list[float] = []
    newcomers: list[float] = []
    outcome: dict[str, object] = {}

    async def editing() -> None:
        async with connect(server.url, token(1), command_timeout=TIMEOUT) as editor:
            await editor.join(RETREAT)
            people = [row.id for row in editor.rows if not row.is_leader]
            started.set()
            while not outcome:
                began = trio.current_time()
                await editor.assign(people[len(edits) % len(people)], 1 + len(edits) % 9)
                edits.append(trio.current_time() - began)

    async def coming() -> None:
        while not outcome:
            began = trio.current_time()
            async with await trio.open_tcp_stream(server.host, server.port) as stream:
                await stream.send_all(HEALTH)
                assert bytes(await stream.receive_some(1_000)).startswith(b"HTTP/1.1 200")
            newcomers.append(trio.current_time() - began)

    started = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(editing)
        await started.wait()
        nursery.start_soon(coming)
        outcome.update(await flood(server, 3_000))
    assert outcome["outcomes"] == {"200": 3_000}
    seconds = outcome["seconds"]
    assert isinstance(seconds, float)
    # They would wait for most of it if all requests were handled at once.
    assert max(edits) < seconds / 4, (max(edits), seconds)
    assert max(newcomers) < seconds / 2, (max(newcomers), seconds)
