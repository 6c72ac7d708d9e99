"""Clients that end their side behind a request, or reset: what that costs a server's database."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Sequence

import asyncpg
import trio

from tests.e2e.server_process import RETREAT, ServerProcess, token

LINEUPS = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
READS, WRITES = 30, 20
_CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gbs_actor'"


async def connections(server: ServerProcess) -> set[int]:
    """Return the server's connections to its database, by process."""

    async def read() -> set[int]:
        connection = await asyncpg.connect(server.dsn)
        try:
            return {row["pid"] for row in await connection.fetch(_CONNECTIONS)}
        finally:
            await connection.close()

    return await trio.to_thread.run_sync(lambda: asyncio.run(read()))


def request(method: str, path: str, user_id: int, body: str = "") -> bytes:
    """Return a request of a user whose role has to be looked up first."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token(userId=user_id)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def responses(server: ServerProcess, requests: Sequence[bytes]) -> list[bytes]:
    """Send each on a connection of its own with a FIN behind it, all at once."""
    received: list[bytes] = []

    async def send(data: bytes) -> None:
        async with await trio.open_tcp_stream(server.host, server.port) as stream:
            await stream.send_all(data)
            await stream.send_eof()
            received.append(b"".join([chunk async for chunk in stream]))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for data in requests:
                nursery.start_soon(send, data)
    return received


async def reset(server: ServerProcess, data: bytes) -> None:
    stream = await trio.open_tcp_stream(server.host, server.port)
    await stream.send_all(data)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()


async def test_all_are_carried_out_and_answered_and_no_connection_is_lost(
    server: ServerProcess,
) -> None:
    rows = server.get(LINEUPS, token())["userRetreatGbsLineups"]
    people = [row["id"] for row in rows if not row["isLeader"]][:WRITES]
    reads = [request("GET", LINEUPS, 10_000 + turn) for turn in range(READS)]
    await responses(server, reads)  # opens the connections that are needed
    before = await connections(server)

    reads = [request("GET", LINEUPS, 20_000 + turn) for turn in range(READS)]
    answers = await responses(server, reads)
    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 200 "] * READS

    edit = json.dumps({"gbsNumber": 77})
    writes = [request("PUT", f"{LINEUPS}/{person}", 30_000 + person, edit) for person in people]
    answers = await responses(server, writes)
    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 200 "] * WRITES
    rows = server.get(LINEUPS, token())["userRetreatGbsLineups"]
    assert {row["gbsNumber"] for row in rows if row["id"] in people} == {77}

    for turn in range(READS):
        await reset(server, request("GET", LINEUPS, 40_000 + turn))
    server.get("/readyz")
    assert before <= await connections(server)
