from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.testing import Fault, LineupServer, Peer, Tracepoint, lineup_server
from gbs_actor.testing.peers import PeerProtocol

COMMAND = UUID(int=1)
AT_A_START = (Tracepoint.LOADING, Tracepoint.LOADED, Tracepoint.CAUGHT_UP)


def boards(*peers: Peer, lineup: int) -> list[int | None]:
    """Return what each of them has as somebody's number."""
    numbers = []
    for peer in peers:
        rows: list[dict[str, Any]] = [
            row
            for received in peer.received
            for row in (
                received.payload
                if received.name == "initial-data"
                else [received.payload]
                if received.name == "lineup-updated"
                else []
            )
        ]
        numbers.append([row["gbsNumber"] for row in rows if row["id"] == lineup][-1])
    return numbers


async def last_of_the_list(server: LineupServer) -> int:
    reply = await (await server.peer(user=9)).join("winter")
    return int(reply.data[-1]["id"])


@pytest.mark.parametrize("protocol", ["socketio", "polling", "plain"])
@pytest.mark.parametrize("at", Tracepoint)
async def test_a_room_crashes_at_every_step_and_nobody_misses_an_edit(
    autojump_clock: MockClock, protocol: PeerProtocol, at: Tracepoint
) -> None:
    async with lineup_server() as server:
        lineup = await last_of_the_list(server)
        author = await server.peer(protocol, user=1, join="winter")
        reader = await server.peer("plain", user=2, join="winter")
        if at is Tracepoint.RESOLVING:
            server.store.fail(Fault.LOST_AFTER)
        if at in AT_A_START:
            server.crash_room("winter")
        server.crash_room("winter", at=at)

        await author.emit("user-editing", {"lineupId": lineup})
        command = {"lineupId": lineup, "gbsNumber": 7, "commandId": str(COMMAND)}
        while not (reply := await author.call("update-gbs-number", command)).ok:
            assert reply.retryable, reply
            await trio.sleep(1)
        late = await server.peer("plain", user=3, join="winter")
        await late.call("leave-retreat", "winter")
        await trio.sleep(10)

        assert len(server.room("winter").crash_history) == (2 if at in AT_A_START else 1)
        assert reply.data["gbsNumber"] == 7
        assert boards(reader, lineup=lineup) == [7]
        assert not author.closed.is_set()
        await assign_another(author, lineup)
        row = await reader.event("lineup-updated", where=lambda row: row["gbsNumber"] == 8)
        assert row["id"] == lineup


async def assign_another(author: Peer, lineup: int) -> None:
    reply = await author.call("update-gbs-number", {"lineupId": lineup, "gbsNumber": 8})
    assert reply.ok, reply


async def test_each_call_lets_it_crash_once_more(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter")
        server.crash_room("winter", at=Tracepoint.TAKEN)
        server.crash_room("winter", at=Tracepoint.TAKEN)
        replies = []
        for _ in range(3):
            reply = await peer.call("update-gbs-number", {"lineupId": 20, "gbsNumber": 3})
            replies.append(reply.code)
            await trio.sleep(5)
        assert replies == ["ROOM_RESTARTED", "ROOM_RESTARTED", None]
