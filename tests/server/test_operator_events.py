"""Operator events of a whole server, and its stream of them over real connections."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
import trio.lowlevel

from gbs_actor.auth import Role
from gbs_actor.observability import EventFilter, OperatorEvent, OperatorEvents
from gbs_actor.server import composition
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import StoreUnavailable
from tests.gateway.serving import HeldStore
from tests.server.running import Running, running, settings, token

OPERATOR = {"Authorization": f"Bearer {token(Role.ADMIN_MINISTER)}"}
STREAM = {**OPERATOR, "Accept": "text/event-stream"}
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> OperatorEvents:
    """The events of the server that the test runs."""
    made = OperatorEvents(1_000)
    monkeypatch.setattr(composition, "OperatorEvents", lambda *_, **__: made)
    return made


def using(**groups: dict[str, Any]) -> Settings:
    base = settings()
    update = {name: getattr(base, name).model_copy(update=each) for name, each in groups.items()}
    return base.model_copy(update=update)


async def until(events: OperatorEvents, kind: str) -> OperatorEvent:
    """Wait for an event of a kind."""
    last = 0
    with trio.fail_after(20):
        while True:
            page = events.after(last, EventFilter((kind,)))
            if page.events:
                return page.events[0]
            last = page.last
            await events.wait(last)


@asynccontextmanager
async def streaming(server: Running, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    """Read the lines of a stream within the block."""
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("GET", f"{server.url}/admin/events", headers=STREAM | headers) as response,
    ):
        assert response.status_code == 200
        yield response.aiter_lines()


async def next_data(lines: AsyncIterator[str]) -> Any:
    """Return the data of the next event."""
    with trio.fail_after(20):
        async for line in lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream has ended")


# Limits of the whole server


async def dial(server: Running) -> trio.SocketStream:
    stream = await server.stream_below()
    await stream.send_all(b"G")
    return stream


async def dial_websocket(server: Running) -> trio.SocketStream:
    stream = await server.stream_below()
    await stream.send_all(UPGRADE)
    return stream


@pytest.mark.parametrize(
    ("config", "connect", "limit"),
    [
        ({"socketio": {"max_connections": 1}}, "joined", "max_connections"),
        (
            {"socketio": {"max_connections_per_address": 1}},
            "joined",
            "max_connections_per_address",
        ),
        ({"http": {"max_unauthenticated": 1}}, "idle", "max_unauthenticated"),
        (
            {"http": {"max_unauthenticated_per_address": 1}},
            "idle",
            "max_unauthenticated_per_address",
        ),
        ({"http": {"connections_per_address": 1}}, "idle", "connections_per_address"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_limit_of_connections_that_is_reached_is_named(
    events: OperatorEvents, config: dict[str, Any], connect: str, limit: str
) -> None:
    async with running(using=using(**config)) as server, trio.open_nursery() as nursery:
        if connect == "joined":
            async with server.connect():
                nursery.start_soon(dial_websocket, server)
                event = await until(events, "limit.hit")
        else:
            kept = [await dial(server) for _ in range(3)]
            event = await until(events, "limit.hit")
            for stream in kept:
                await stream.aclose()
        assert event.details["limit"] == limit
        assert event.details["address"] in {"127.0.0.1", None}
        nursery.cancel_scope.cancel()


async def test_the_limit_of_all_connections_is_named_after_its_two_settings(
    events: OperatorEvents,
) -> None:
    config = using(http={"http_connections": 1}, socketio={"max_connections": 1})
    async with (
        running(using=config) as server,
        streaming(server),
        streaming(server),
        await dial(server),
    ):
        event = await until(events, "limit.hit")
        assert event.details["limit"] == "max_connections and http_connections"


# The store and the shutdown


async def test_a_store_that_cannot_write_is_reported_and_so_is_its_return(
    events: OperatorEvents,
) -> None:
    class Store(HeldStore):
        fails = False

        async def check_write(self) -> None:
            if self.fails:
                raise StoreUnavailable("it is away")
            await super().check_write()

    store = Store()
    async with running(store, using=using(store={"write_check_interval": 0.05})):
        store.fails = True
        unavailable = await until(events, "store.unavailable")
        assert unavailable.severity == "error"
        assert unavailable.text == "not ready: The database does not answer. it is away"
        store.fails = False
        await until(events, "store.available")


async def test_a_shutdown_is_reported_and_ends_the_streams(events: OperatorEvents) -> None:
    async with running() as server, streaming(server) as lines:
        server.scope.cancel()
        assert (await next_data(lines))["kind"] == "server.draining"
        with trio.fail_after(5):
            async for line in lines:
                assert not line.startswith("data: ")
            await server.ended.wait()


# The stream over real connections


async def test_a_stream_over_http(events: OperatorEvents) -> None:
    async with running() as server, streaming(server) as lines:
        for number in range(3):
            events.publish("trace.in", str(number))
            assert (await next_data(lines))["text"] == str(number)


async def tasks(server: Running) -> dict[str, int]:
    """Return how many tasks of each kind there are."""
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{server.url}/admin/system", headers=OPERATOR)
        counted: dict[str, int] = response.json()["tasks"]
        return counted


async def test_readers_that_go_away_leave_nothing_behind(events: OperatorEvents) -> None:
    async with running() as server:
        before = await tasks(server)
        for _ in range(20):
            async with streaming(server) as lines:
                events.publish("trace.in", "x")
                assert (await next_data(lines))["text"] == "x"
        for _ in range(50):
            await trio.sleep(0.2)  # they are counted once a second at most
            if await tasks(server) == before:
                break
        assert await tasks(server) == before


async def test_a_reader_that_does_not_read_misses_events_and_memory_stays_bounded(
    events: OperatorEvents,
) -> None:
    async with running() as server, streaming(server) as lines:
        events.publish("trace.in", "first")
        assert (await next_data(lines))["text"] == "first"
        for _ in range(200):  # more than the sockets and the ring hold
            for _ in range(events.capacity // 5):
                events.publish("trace.in", "x" * 400)
            await trio.lowlevel.checkpoint()
        assert len(events) == events.capacity
        missed = shown = 0
        while shown + missed + 1 < events.last:
            data = await next_data(lines)
            missed += data.get("missed", 0)
            shown += "text" in data
        assert missed > 0
        assert shown + missed + 1 == events.last
