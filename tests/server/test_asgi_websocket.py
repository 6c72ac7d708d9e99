"""WebSockets that do not come to a stream of our own: on a reused connection, over HTTP/2."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, TextMessage

from tests.gateway.composing import SLUG
from tests.gateway.peer import NAMESPACE, Refused, talking
from tests.server.running import answer, running, token

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
TARGET = "/socket.io/?EIO=4&transport=websocket"


async def test_an_upgrade_on_a_reused_connection_is_served() -> None:
    async with running() as server, server.connect() as other:
        await other.call("join-retreat", SLUG)
        stream = await server.stream()
        assert b"200" in await answer(stream, HEALTH)
        async with talking(stream, auth={"token": token()}) as peer:
            joined = await peer.call("join-retreat", SLUG)
            assert len(joined["data"]) == 6
            edited = await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
            assert edited["status"] == "OK"
            assert (await other.event("lineup-updated"))["gbsNumber"] == 3
            await other.call("update-gbs-number", {"lineupId": 3, "gbsNumber": 3})
            await peer.wait_for(
                lambda got: got.name == "lineup-updated" and got.payload["revision"] == 2
            )


async def test_it_is_refused_there_as_anywhere() -> None:
    async with running() as server:
        stream = await server.stream()
        await answer(stream, HEALTH)
        try:
            async with talking(stream, auth={"token": "nonsense"}):
                raise AssertionError("was let in")
        except* Refused as group:
            (refused,) = group.exceptions
            assert isinstance(refused, Refused)
            assert refused.error["data"] == {"code": "INVALID_TOKEN"}


async def test_it_is_told_of_the_shutdown() -> None:
    async with running() as server:
        stream = await server.stream()
        await answer(stream, HEALTH)
        async with talking(stream, auth={"token": token()}) as peer:
            server.scope.cancel()
            with trio.fail_after(10):
                await peer.closed.wait()
            assert peer.close_code == 1001


class Http2WebSocket:
    """One WebSocket in one stream of HTTP/2 (RFC 8441)."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._http = h2.connection.H2Connection(config)
        self._websocket = Connection(ConnectionType.CLIENT)
        self._events: deque[Event] = deque()
        self._id = 0
        self.status = ""

    async def open(self, authority: str) -> None:
        """Ask for it, once the server has said that one may."""
        self._http.initiate_connection()
        await self._flush()
        while not self._http.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL):
            await self._pump()
        self._id = self._http.get_next_available_stream_id()
        self._http.send_headers(
            self._id,
            [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", TARGET),
                (":authority", authority),
                ("sec-websocket-version", "13"),
            ],
        )
        await self._flush()
        while not self.status:
            await self._pump()

    async def send(self, text: str) -> None:
        self._http.send_data(self._id, self._websocket.send(TextMessage(text)))
        await self._flush()

    async def receive(self) -> Any:
        """Return the next text, or a close code."""
        while not self._events:
            await self._pump()
        event = self._events.popleft()
        if isinstance(event, TextMessage):
            text = event.data
            while not event.message_finished:
                rest = self._events.popleft()
                assert isinstance(rest, TextMessage)
                event, text = rest, text + rest.data
            return text
        assert isinstance(event, CloseConnection)
        return event.code

    async def _flush(self) -> None:
        await self._stream.send_all(self._http.data_to_send())

    async def _pump(self) -> None:
        for event in self._http.receive_data(await self._stream.receive_some()):
            if isinstance(event, h2.events.ResponseReceived):
                self.status = str(dict[Any, Any](event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self._http.acknowledge_received_data(event.flow_controlled_length, self._id)
                self._websocket.receive_data(event.data)
                self._events.extend(self._websocket.events())
        await self._flush()


@asynccontextmanager
async def over_http2(stream: trio.abc.Stream) -> AsyncIterator[Http2WebSocket]:
    websocket = Http2WebSocket(stream)
    with trio.fail_after(10):
        await websocket.open("here")
        yield websocket
    await stream.aclose()


async def test_a_websocket_over_http2_is_served() -> None:
    async with running() as server, over_http2(await server.stream()) as websocket:
        assert websocket.status == "200"
        opened = json.loads((await websocket.receive())[1:])
        assert opened["upgrades"] == []
        await websocket.send(f"40{NAMESPACE},{json.dumps({'token': token()})}")
        assert (await websocket.receive()).startswith(f"40{NAMESPACE},")
        await websocket.send(f'42{NAMESPACE},0["join-retreat","{SLUG}"]')
        while not (text := await websocket.receive()).startswith(f"43{NAMESPACE},0"):
            pass
        joined = json.loads(text[text.index("[") :])
        assert len(joined[0]["data"]) == 6
