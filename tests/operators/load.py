"""Clients that edit in several rooms, and count each answer and update that they get."""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
import trio
import trio_websocket

from tests.e2e.server_process import ServerProcess, token
from tests.faults.test_slow_reader import ReluctantStream
from tests.mixed.peers import PATIENCE, PlainPeer, Talker, bearer
from tests.mixed.socketio_peer import PATH, SocketIOPeer, TextMessages

ACCEPTED = "accepted"
ACCEPTED_BEFORE = "repeated"


class ResettableSocketIOPeer(SocketIOPeer):
    """A client whose connection can be reset."""

    stream: trio.SocketStream

    async def _dial(self, query: str) -> TextMessages:
        self.stream = await trio.open_tcp_stream(self._server.host, self._server.port)
        resource = f"{PATH}websocket{query}"
        return await trio_websocket.wrap_client_stream(
            self._tasks, self.stream, self._server.host, resource
        )


async def reset(stream: trio.SocketStream) -> None:
    """End a connection as a peer does that has lost it: RST instead of FIN."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)


async def reluctant_peer(
    tasks: trio.Nursery, server: ServerProcess, token: str, slug: str
) -> tuple[PlainPeer, ReluctantStream]:
    """Connect a plain WebSocket whose reading can be held up, and that buffers next to nothing."""
    raw = trio.socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await raw.connect((server.host, server.port))
    stream = ReluctantStream(trio.SocketStream(raw))
    websocket = await trio_websocket.wrap_client_stream(
        tasks,
        stream,  # type: ignore[arg-type]
        server.host,
        f"/ws/retreats/{slug}?presence=false",
        extra_headers=[bearer(token)],
    )
    peer = PlainPeer(websocket)
    tasks.start_soon(peer.run)
    with trio.fail_after(PATIENCE):
        while not peer.view.rows:
            await peer.view.news()
    return peer, stream


class Editor:
    """Gives edits of every fate, one after the other, and counts what becomes of them."""

    def __init__(self, peer: Talker, slug: str, seed: int) -> None:
        self.peer = peer
        self.slug = slug
        self.answers: Counter[str] = Counter()
        """``accepted``, ``repeated``, or the code of an error."""
        self._chance = random.Random(seed)
        rows = peer.view.rows.values()
        self._people = [row["id"] for row in rows if not row["isLeader"]]
        self._leaders = [row["id"] for row in rows if row["isLeader"]]

    async def work(self, edits: int) -> None:
        """Give so many edits: one in ten locked, one in ten malformed, one in ten twice."""
        for at in range(edits):
            edit = self._assignment(self._chance.choice(self._people))
            match at % 10:
                case 3:
                    edit["lineupId"] = self._leaders[0]
                case 5:
                    edit["gbsNumber"] = "none"
            await self.give(edit)
            if at % 10 == 7:
                await self.give(edit, ACCEPTED_BEFORE)

    async def work_until(self, done: trio.Event) -> None:
        """Give edits until an event is set."""
        while not done.is_set():
            await self.give(self._assignment(self._chance.choice(self._people)))

    async def give(self, edit: dict[str, Any], if_ok: str = ACCEPTED) -> None:
        """Give one edit, and count the answer."""
        answer = await self.peer.ask("update-gbs-number", edit)
        self.answers[if_ok if answer["status"] == "OK" else answer["code"]] += 1

    def _assignment(self, person: int) -> dict[str, Any]:
        command_id = UUID(int=self._chance.getrandbits(128), version=4)
        return {
            "lineupId": person,
            # Mostly of nobody else: few rows change with it.
            "gbsNumber": self._chance.randint(100, 9_999),
            "commandId": str(command_id),
        }


async def edit_all(editors: Sequence[Editor], edits: int) -> None:
    """Let all editors work at the same time; return once all are done."""
    async with trio.open_nursery() as nursery:
        for editor in editors:
            nursery.start_soon(editor.work, edits)


async def until_all_have(editors: Sequence[Editor], rows: dict[int, dict[str, Any]]) -> None:
    """Wait until all clients show these rows."""
    for editor in editors:
        with trio.fail_after(PATIENCE):
            await editor.peer.view.until(rows)


async def refused_over_socketio(server: ServerProcess, token: str) -> None:
    """Connect with a token that is not accepted; return once the server has said so."""
    async with trio_websocket.open_websocket_url(
        f"ws://{server.host}:{server.port}{PATH}websocket"
    ) as websocket:
        await websocket.get_message()
        await websocket.send_message(f'40/gbs-lineup,{{"token":"{token}"}}')
        while not str(await websocket.get_message()).startswith("44/gbs-lineup,"):
            pass


async def refused_as_plain(server: ServerProcess, token: str, slug: str) -> int:
    """Connect with a token that is not accepted; return the code that the WebSocket ends with."""
    async with trio_websocket.open_websocket_url(
        f"ws://{server.host}:{server.port}/ws/retreats/{slug}", extra_headers=[bearer(token)]
    ) as websocket:
        with pytest.raises(trio_websocket.ConnectionClosed):
            await websocket.get_message()
        assert websocket.closed is not None
        return int(websocket.closed.code)


def user_token(number: int) -> str:
    """Return the token of the user with this number among the clients."""
    return token(1000 + number, f"간사{number}")
