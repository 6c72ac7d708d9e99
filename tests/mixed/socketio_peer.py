"""A Socket.IO client carried by polls, by a WebSocket, or by the one and then the other."""

from __future__ import annotations

import json
import re
from typing import Final, Literal, Protocol

import httpx
import trio
from trio_websocket import connect_websocket_url

from tests.e2e.server_process import RETREAT, ServerProcess
from tests.mixed.peers import PATIENCE, Talker, Way

NAMESPACE: Final = "/gbs-lineup"
SEPARATOR: Final = "\x1e"
PATH: Final = "/socket.io/?EIO=4&transport="
_PACKET: Final = re.compile(r"4(?P<type>[0-4])/gbs-lineup,?(?P<ack>[0-9]*)(?P<json>.*)", re.DOTALL)


class TextMessages(Protocol):
    """What is needed of a WebSocket, whatever carries it."""

    async def send_message(self, message: str, /) -> None:
        """Send a text."""

    async def get_message(self) -> str | bytes:
        """Return the next message."""
        ...


class SocketIOPeer(Talker):
    """A client of ``/gbs-lineup``.

    It upgrades as the Engine.IO protocol, version 4, has it: polls go on while the
    WebSocket is probed; behind the server's ``3probe`` no new one begins, and when those
    under way have ended, ``5`` makes the WebSocket the only carrier.
    """

    def __init__(self, tasks: trio.Nursery, server: ServerProcess, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._server = server
        self._http = http
        self._tasks = tasks
        self._sid = ""
        self._websocket: TextMessages | None = None
        self._waiting: list[str] = []
        self._sending = trio.Lock()
        self._pausing = False
        self._no_poll = trio.Event()
        self._admitted = trio.Event()

    @property
    def transport(self) -> Literal["polling", "websocket"]:
        """What carries the session."""
        return "polling" if self._websocket is None else "websocket"

    async def open(
        self, token: str, transport: Literal["polling", "websocket"], slug: str = RETREAT
    ) -> None:
        """Open the session, the namespace, and the door of the room."""
        if transport == "websocket":
            websocket = await self._dial("")
            opening = await websocket.get_message()
            self._websocket = websocket
            self._tasks.start_soon(self._receive, websocket)
        else:
            answer = await self._http.get(PATH + "polling")
            opening = answer.raise_for_status().text
        assert isinstance(opening, str)
        assert opening[0] == "0"
        self._sid = json.loads(opening[1:])["sid"]
        if transport == "polling":
            self._tasks.start_soon(self._poll)
        await self._send(f"40{NAMESPACE},{json.dumps({'token': token})}")
        with trio.fail_after(PATIENCE):
            await self._admitted.wait()
        assert (await self.ask("join-retreat", slug))["status"] == "OK"

    async def upgrade(self) -> None:
        """Go over from polls to a WebSocket, whatever is under way."""
        websocket = await self._dial(f"&sid={self._sid}")
        await websocket.send_message("2probe")
        assert await websocket.get_message() == "3probe"
        self._pausing = True
        async with self._sending:
            await self._no_poll.wait()
            await websocket.send_message("5")
            self._websocket = websocket
        self._tasks.start_soon(self._receive, websocket)

    async def say(self, number: int, event: str, argument: object) -> Way:
        """Send an event with an ack id."""
        return await self._send(f"42{NAMESPACE},{number}{json.dumps([event, argument])}")

    async def _dial(self, query: str) -> TextMessages:
        address = f"ws://{self._server.host}:{self._server.port}{PATH}websocket{query}"
        return await connect_websocket_url(self._tasks, address)

    async def _send(self, packet: str) -> Way:
        """Send a packet, with those that came while another request was under way."""
        self._waiting.append(packet)
        async with self._sending:
            packets, self._waiting = self._waiting, []
            if self._websocket is not None:
                for waiting in packets:
                    await self._websocket.send_message(waiting)
            elif packets:
                body = SEPARATOR.join(packets).encode()
                answer = await self._http.post(f"{PATH}polling&sid={self._sid}", content=body)
                assert (answer.status_code, answer.text) == (200, "ok")
            return self.transport

    async def _poll(self) -> None:
        while not self._pausing:
            answer = await self._http.get(f"{PATH}polling&sid={self._sid}")
            for packet in answer.raise_for_status().text.split(SEPARATOR):
                self._take(packet)
        self._no_poll.set()

    async def _receive(self, websocket: TextMessages) -> None:
        while True:
            packet = await websocket.get_message()
            assert isinstance(packet, str)
            self._take(packet)

    def _take(self, packet: str) -> None:
        if packet == "2":
            self._tasks.start_soon(self._send, "3")
            return
        if packet == "6":
            return
        found = _PACKET.fullmatch(packet)
        assert found is not None, packet
        content = json.loads(found["json"])
        match found["type"]:
            case "0":
                self._admitted.set()
            case "2":
                self.happened(*content)
            case "3":
                self.answered(int(found["ack"]), *content)
            case _:
                raise AssertionError(packet)


async def socketio_peer(
    tasks: trio.Nursery,
    server: ServerProcess,
    http: httpx.AsyncClient,
    token: str,
    transport: Literal["polling", "websocket"],
    *,
    slug: str = RETREAT,
) -> SocketIOPeer:
    """Connect, and enter the room."""
    peer = SocketIOPeer(tasks, server, http)
    await peer.open(token, transport, slug)
    return peer
