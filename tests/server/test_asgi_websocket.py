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
import pytest
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from gbs_actor.settings import Settings
from tests.gateway.composing import SLUG
from tests.gateway.peer import NAMESPACE, Refused, talking
from tests.gateway.plain_peer import Rejected, talking_plainly
from tests.server.running import Running, answer, everything, running, settings, token

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
        self.headers: dict[str, str] = {}

    @property
    def status(self) -> str:
        """Of the answer; "" before it has come."""
        return self.headers.get(":status", "")

    async def open(self, target: str, *fields: tuple[str, str]) -> None:
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
                (":path", target),
                (":authority", "here"),
                ("sec-websocket-version", "13"),
                *fields,
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
        if isinstance(event, Ping):
            self._http.send_data(self._id, self._websocket.send(event.response()))
            await self._flush()
            return await self.receive()
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
                self.headers = dict[Any, Any](event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self._http.acknowledge_received_data(event.flow_controlled_length, self._id)
                self._websocket.receive_data(event.data)
                self._events.extend(self._websocket.events())
        await self._flush()


@asynccontextmanager
async def over_http2(
    stream: trio.abc.Stream, target: str = TARGET, *fields: tuple[str, str]
) -> AsyncIterator[Http2WebSocket]:
    websocket = Http2WebSocket(stream)
    with trio.fail_after(10):
        await websocket.open(target, *fields)
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


# Plain WebSockets


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PING = b"\x89\x00"
PLAIN = f"/ws/retreats/{SLUG}"
EDIT = {"lineupId": 2, "gbsNumber": 3}


async def reused(server: Running) -> trio.abc.Stream:
    """Return a connection on which something was asked already."""
    stream = await server.stream()
    assert b"200" in await answer(stream, HEALTH)
    return stream


async def test_a_plain_websocket_on_a_reused_connection_is_served() -> None:
    async with running() as server, server.connect() as page:
        await page.call("join-retreat", SLUG)
        offered = ["gbs.v1", f"bearer.{token()}"]
        async with talking_plainly(await reused(server), subprotocols=offered) as peer:
            assert peer.websocket.subprotocol == "gbs.v1"
            assert len(await peer.event("initial-data")) == 6
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
            assert (await page.event("lineup-updated"))["gbsNumber"] == 3


@pytest.mark.parametrize(
    ("slug", "bearer", "code"),
    [("none", None, 4404), (SLUG, "nonsense", 4401)],
)
async def test_it_is_closed_there_with_the_same_codes(
    slug: str, bearer: str | None, code: int
) -> None:
    async with running() as server:
        stream = await reused(server)
        async with talking_plainly(stream, slug, token=bearer or token()) as peer:
            assert (await peer.end())[0] == code


async def test_a_foreign_origin_is_refused_there_before_the_upgrade() -> None:
    async with running() as server:
        headers = {"Origin": "https://elsewhere.example", "Cookie": f"accessToken={token()}"}
        try:
            async with talking_plainly(await reused(server), headers=headers):
                raise AssertionError("was let in")
        except* Rejected as group:
            (rejected,) = group.exceptions
            assert isinstance(rejected, Rejected)
            assert (rejected.status, rejected.body["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize(("frame", "code"), [(b"binary", 1003), ("x" * 1_000_001, 1009)])
async def test_what_must_not_be_sent_closes_it_there_too(frame: str | bytes, code: int) -> None:
    async with (
        running() as server,
        talking_plainly(await reused(server), token=token()) as peer,
    ):
        await peer.event("initial-data")
        await peer.send(frame)
        assert (await peer.end())[0] == code


def with_short_pings() -> Settings:
    basic = settings()
    short = basic.socketio.model_copy(update={"ping_interval": 0.1, "ping_timeout": 0.3})
    return basic.model_copy(update={"socketio": short})


async def test_a_client_there_that_answers_no_pings_is_dropped_and_one_that_does_is_not() -> None:
    async with (
        running(using=with_short_pings()) as server,
        talking_plainly(await reused(server), token=token()) as answering,
        await reused(server) as silent,
    ):
        await answering.event("initial-data")
        request = (
            f"GET {PLAIN} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token()}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        await silent.send_all(request.encode())
        received = await everything(silent)
        assert received.startswith(b"HTTP/1.1 101")
        assert received.count(PING) >= 3
        assert (await answering.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_plain_websocket_over_http2_is_served_and_told_of_the_shutdown() -> None:
    async with running() as server:
        fields = (("sec-websocket-protocol", f"gbs.v1, bearer.{token()}"),)
        async with over_http2(await server.stream(), PLAIN, *fields) as websocket:
            assert websocket.headers["sec-websocket-protocol"] == "gbs.v1"
            first = json.loads(await websocket.receive())
            assert (first["event"], len(first["data"])) == ("initial-data", 6)
            await websocket.send(json.dumps({"id": 0, "event": "leave-retreat", "data": SLUG}))
            while (said := json.loads(await websocket.receive())).get("id") != 0:
                pass
            assert said["status"] == "OK"
            server.scope.cancel()
            assert await websocket.receive() == 1001
