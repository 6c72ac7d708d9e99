"""A server of a seed and its clients, in a process of its own.

``python -m tests.testing.seeded_run SEED`` prints all that went over the network, and what the
clients have in the end, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from random import Random
from typing import Any
from unittest.mock import patch

import trio
from msgspec.structs import asdict

from gbs_actor.client import Client
from gbs_actor.testing import Conditions, LineupServer, lineup_server
from gbs_actor.testing.network import SimSocket
from gbs_actor.testing.peers import PeerProtocol
from gbs_actor.testing.scheduling import run

PROTOCOLS: tuple[PeerProtocol, ...] = ("socketio", "polling", "upgraded", "plain")
PERSON = 20


@contextmanager
def sent() -> Iterator[list[tuple[float, object, bytes]]]:
    """Yield what is sent in the block: when, from where, which bytes."""
    found: list[tuple[float, object, bytes]] = []
    original = SimSocket.send

    def send(socket: SimSocket, data: bytes | bytearray | memoryview) -> int:
        count = original(socket, data)
        found.append((trio.current_time(), socket.getsockname(), bytes(data[:count])))
        return count

    with patch.object(SimSocket, "send", send):
        yield found


async def edit(server: LineupServer, number: int) -> None:
    author = await server.peer(user=7, join="winter")
    reply = await author.call("update-gbs-number", {"lineupId": PERSON, "gbsNumber": number})
    assert reply.ok
    await author.close()


async def peers(server: LineupServer) -> list[list[str]]:
    """Return what a peer of each protocol receives, before and after a kill."""
    readers = [
        await server.peer(protocol, user=number, join="winter", recovery=protocol != "plain")
        for number, protocol in enumerate(PROTOCOLS, 1)
    ]
    await edit(server, 3)
    await trio.sleep(30)
    await server.restart(kill=True)
    for reader in readers:
        await reader.reconnect()
    await edit(server, 4)
    await trio.sleep(30)
    return [[str(received) for received in reader.received] for reader in readers]


async def client(server: LineupServer) -> dict[str, Any]:
    """Return what the project's own client has after edits and a kill."""
    async with server.client(user=1) as client, trio.open_nursery() as nursery:
        await client.join("winter")
        nursery.start_soon(count_up, client)
        await trio.sleep(1)
        await server.restart(kill=True)
        await client.until(lambda client: client.revision == 20)
        return {"rows": [str(row) for row in client.rows], **asdict(client.statistics())}


async def count_up(client: Client) -> None:
    for number in range(1, 21):
        await client.assign(PERSON, number)
        await trio.sleep(0.1)


async def main(seed: int) -> dict[str, Any]:
    conditions = Conditions(random=Random(seed), latency=0.2, splits=0.3, partial_sends=0.3)
    with sent() as by_peers:
        async with lineup_server(seed=seed, conditions=conditions) as server:
            received = await peers(server)
    with sent() as by_client:
        async with lineup_server(seed=seed, conditions=conditions) as server:
            replica = await client(server)
    return {
        "peers": received,
        "bytes of peers": sha256(repr(by_peers).encode()).hexdigest(),
        "client": replica,
        # Its masks are of the machine's entropy: what, when and how much is not.
        "pieces of the client": sha256(
            repr([(when, where, len(data)) for when, where, data in by_client]).encode()
        ).hexdigest(),
    }


if __name__ == "__main__":
    number = int(sys.argv[1])
    sys.stdout.write(json.dumps(run(main, number, seed=number), ensure_ascii=False, default=str))
