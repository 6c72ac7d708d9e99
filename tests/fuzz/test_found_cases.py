"""What the fuzzer has found in sessions, told as short stories.

Where two things happen at the same moment, each story is told in several orders.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import HttpStream
from scripts.fuzz import trio_cases
from scripts.fuzz.asgi_request import Request
from scripts.fuzz.client import Client
from scripts.fuzz.websocket_client import TEXT, StreamLink, frame, request, sockets
from scripts.fuzz.world import DAWDLING, PATH, World, no_complaints

ORDERS = range(6)


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0)


class Session:
    """A client that has joined ``/`` by polling, and now does what it is told."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self.world = world
        self.nursery = nursery
        self.client = Client(world, nursery, good=False)

    async def open(self) -> None:
        await self.client.open_polling(poll=False)
        await self.post("40")
        await self.poll()

    async def poll(self) -> bytes:
        """Wait for a payload."""
        answer = await self.client.ask(Request("GET", PATH, self.client.query("polling")))
        assert answer is not None
        return answer.body

    async def post(self, *parts: str, pause: float = 0.0) -> int:
        """Send a body, part by part; return the status of the answer."""
        body = [part.encode() for part in parts]
        asked = Request("POST", PATH, self.client.query("polling"), body=body, pause=pause)
        answer = await self.client.ask(asked)
        assert answer is not None
        return answer.status

    def dial(self) -> StreamLink:
        """Open a WebSocket for the session."""
        asked = request(f"{PATH}?{self.client.query('websocket')}")
        return StreamLink(self.world.server, self.nursery, asked)


@asynccontextmanager
async def session(**options: Any) -> AsyncIterator[Session]:
    world = World(**options)
    async with world.serving(), trio.open_nursery() as nursery:
        opened = Session(world, nursery)
        await opened.open()
        yield opened
        nursery.cancel_scope.cancel()


async def test_a_client_that_is_behind_can_still_upgrade(clock: MockClock) -> None:
    """It polls no more, and moves once its POST is answered: that must not wait for a poll."""
    async with session() as it:
        probe = it.dial()
        await probe.say("2probe")
        await wait_all_tasks_blocked()
        with trio.fail_after(5):
            assert await it.post("\x1e".join(['42["tick",9]'] * 4)) == 200


async def test_a_client_that_was_behind_before_it_upgrades_can_do_so(clock: MockClock) -> None:
    async with session() as it:
        statuses: list[int] = []

        async def post() -> None:
            statuses.append(await it.post("\x1e".join(['42["tick",9]'] * 4)))

        it.nursery.start_soon(post)
        await trio.sleep(1)
        assert statuses == []
        await it.dial().say("2probe")
        await trio.sleep(1)
        assert statuses == [200]


async def test_a_post_from_before_the_upgrade_is_answered_after_it(clock: MockClock) -> None:
    """It waits for slow handlers, and so does what comes over the WebSocket meanwhile."""
    async with session() as it:
        statuses: list[int] = []

        async def post() -> None:
            statuses.append(await it.post("\x1e".join(['42["slow"]'] * 9)))

        it.nursery.start_soon(post)
        await wait_all_tasks_blocked()
        websocket = it.dial()
        for message in ("2probe", "5", *['42["slow"]'] * 6):
            await websocket.say(message)
        await trio.sleep(20 * DAWDLING)
        assert statuses == [200]


@pytest.mark.parametrize("order", ORDERS)
def test_what_comes_when_its_session_has_just_ended_is_dropped(order: int) -> None:
    async def scenario() -> None:
        async with session() as it:

            async def abort() -> None:
                await trio.sleep(2)
                it.world.server.namespace("/").sockets[0].abort()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(abort)
                nursery.start_soon(lambda: it.post("40/cu", "stom,", pause=1.0))
            # Either it came before the end, or its handler has not run at all.
            await trio.sleep(10)
            it.world.check_parted()

    with no_complaints():
        trio_cases.run(scenario, order)


@pytest.mark.parametrize("order", ORDERS)
def test_a_probe_that_asks_when_its_time_is_over_stops_no_poll(order: int) -> None:
    """Else every poll would be answered at once for the rest of the session."""

    async def scenario() -> None:
        async with session(upgrade_timeout=10.0) as it:
            probe = it.dial()
            await trio.sleep(10)
            probe.far.receive_stream.put_data(frame(TEXT, b"2probe"))
            await trio.sleep(1)
            with trio.move_on_after(1) as patience:
                await it.poll()
            assert patience.cancelled_caught

    trio_cases.run(scenario, order)


async def test_a_client_that_is_gone_when_it_is_let_in_stays_nowhere(clock: MockClock) -> None:
    """Its CONNECT is answered into a connection that breaks by that."""
    async with session() as it:
        gone = Client(it.world, it.nursery, good=False, way="sockets")
        await gone.open_websocket()
        await gone.send("40/custom,")
        assert gone.websocket is not None
        gone.websocket.drop()
        await trio.sleep(1)
        assert it.world.server.namespace("/custom").sockets == ()
        it.world.check_empty(connections=1)


@pytest.mark.parametrize("order", ORDERS)
def test_an_answer_that_meets_the_end_of_its_connection_finds_it_closed(order: int) -> None:
    """Not busy: HTTP servers do not expect that, and one task of theirs then never ended."""

    async def scenario() -> None:
        near, far = sockets()
        stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
        results: list[type[BaseException] | None] = []

        async def answer() -> None:
            await trio.lowlevel.cancel_shielded_checkpoint()
            try:
                await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
            except (trio.ClosedResourceError, trio.BusyResourceError) as error:
                results.append(type(error))

        async def end() -> None:
            await trio.lowlevel.cancel_shielded_checkpoint()
            with suppress(trio.BusyResourceError):
                await stream.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            nursery.start_soon(answer)
        assert trio.BusyResourceError not in results
        await trio.aclose_forcefully(near)
        await trio.aclose_forcefully(far)

    trio_cases.run(scenario, order)
