"""A peer whose every packet the test writes itself, over a stream in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
import trio.testing
import trio_websocket

from gbs_actor.client import Backoff, Client, connect

URL = "http://lineup.test"
NAMESPACE = "/gbs-lineup"
STEADY = Backoff(initial=1.0, maximum=8.0, jitter=0.0)


def row(row_id: int = 1, revision: int = 0, **fields: object) -> dict[str, object]:
    """Return a line-up row as a server sends it."""
    return {
        "id": row_id,
        "userId": 1000 + row_id,
        "gbsNumber": None,
        "totalCount": 0,
        "maleCount": 0,
        "femaleCount": 0,
        "fullAttendanceCount": 0,
        "partialAttendanceCount": 0,
        "univGroupId": 1,
        "univGroupNumber": 1,
        "gradeId": 1,
        "gradeNumber": 3,
        "gender": "FEMALE",
        "name": f"사람{row_id}",
        "phoneNumber": "010-0000-0000",
        "currentLeader": "",
        "isLeader": False,
        "isFullAttendance": True,
        "gbsMemo": "",
        "lineupMemo": "",
        "lineupMemoId": None,
        "lineupMemocolor": "",
        "userType": None,
        "userRetreatRegistrationScheduleIds": [1],
        "createdAt": "2024-01-01T00:00:00.000Z",
        "updatedAt": "2024-01-01T00:00:00.000Z",
        "unresolvedLineupHistoryMemo": None,
        "adminMemo": None,
        "revision": revision,
        **fields,
    }


@dataclass(frozen=True)
class Sent:
    """An event that the client sent."""

    ack_id: int
    name: str
    argument: object


class Conversation:
    """The server's side of one connection."""

    def __init__(
        self, websocket: trio_websocket.WebSocketConnection, stream: trio.abc.Stream
    ) -> None:
        self.websocket = websocket
        self.stream = stream
        self.ended = trio.Event()

    async def send(self, packet: str) -> None:
        await self.websocket.send_message(packet)

    async def receive(self) -> str:
        message = await self.websocket.get_message()
        assert isinstance(message, str)
        return message

    async def open(self, ping_interval: int = 25_000, ping_timeout: int = 60_000) -> None:
        opening = {
            "sid": "s",
            "upgrades": [],
            "pingInterval": ping_interval,
            "pingTimeout": ping_timeout,
            "maxPayload": 1_000_000,
        }
        await self.send("0" + json.dumps(opening))

    async def greet(self) -> object:
        """Open the session and the namespace; return the client's auth payload."""
        await self.open()
        return await self.admit()

    async def admit(self) -> object:
        packet = await self.receive()
        head = f"40{NAMESPACE},"
        assert packet.startswith(head)
        await self.send(head + '{"sid":"n"}')
        return json.loads(packet[len(head) :] or "null")

    async def event(self) -> Sent:
        packet = await self.receive()
        head = f"42{NAMESPACE},"
        assert packet.startswith(head), packet
        rest = packet[len(head) :]
        bracket = rest.index("[")
        name, argument = json.loads(rest[bracket:])
        return Sent(int(rest[:bracket]), name, argument)

    async def emit(self, name: str, payload: object) -> None:
        await self.send(f"42{NAMESPACE},{json.dumps([name, payload])}")

    async def answer(self, sent: Sent, **answer: object) -> None:
        await self.send(f"43{NAMESPACE},{sent.ack_id}{json.dumps([answer])}")

    async def ok(self, sent: Sent, data: object, revision: int | None, **more: object) -> None:
        await self.answer(sent, status="OK", data=data, revision=revision, **more)

    async def let_join(
        self, *rows: dict[str, object], revision: int = 0, epoch: str = "e", full: bool = True
    ) -> Sent:
        sent = await self.event()
        assert sent.name == "join-retreat"
        await self.ok(sent, list(rows), revision, epoch=epoch, full=full)
        return sent

    async def drop(self) -> None:
        """End the connection without a word, as a killed server does."""
        await trio.aclose_forcefully(self.stream)
        self.ended.set()


@dataclass
class Peer:
    """What a client's ``connect_stream`` reaches."""

    nursery: trio.Nursery
    unreachable: bool = False
    attempts: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._arrivals, self._waiting = trio.open_memory_channel[Conversation](10)

    async def connect_stream(self, host: str, port: int) -> trio.abc.Stream:
        self.attempts.append(trio.current_time())
        if self.unreachable:
            raise OSError("nobody there")
        near, far = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._accept, far)
        return near

    async def _accept(self, stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)
            conversation = Conversation(await request.accept(), stream)
            await self._arrivals.send(conversation)
            await conversation.ended.wait()

    async def next(self) -> Conversation:
        """Wait for the client's next connection."""
        return await self._waiting.receive()


@asynccontextmanager
async def running_peer() -> AsyncIterator[Peer]:
    async with trio.open_nursery() as nursery:
        yield Peer(nursery)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(peer: Peer, **options: Any) -> AsyncIterator[tuple[Client, Conversation]]:
    """A client and the other end of its first connection."""
    conversations: list[Conversation] = []

    async def greet() -> None:
        conversation = await peer.next()
        await conversation.greet()
        conversations.append(conversation)

    peer.nursery.start_soon(greet)
    options = {"backoff": STEADY, **options}
    async with connect(URL, "t", connect_stream=peer.connect_stream, **options) as client:
        yield client, conversations[0]


@asynccontextmanager
async def joined(
    peer: Peer, *rows: dict[str, object], revision: int = 0, **options: Any
) -> AsyncIterator[tuple[Client, Conversation]]:
    """A client in a room, and the other end of its first connection."""
    async with connected(peer, **options) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.join, "winter")
            await conversation.let_join(*rows, revision=revision)
        yield client, conversation
