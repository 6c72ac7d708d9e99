"""What the fuzzer has found in sessions, each as a short scenario.

Where two things happen at the same moment, it runs in several orders of tasks.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from gbs_actor.socketio import HttpStream
from gbs_actor.socketio.net.request import parse_request
from scripts.fuzz.application import PATH, SLOW, Application
from scripts.fuzz.simulation import simulate
from tests.socketio.frames import TEXT, frame
from tests.socketio.polls import WEBSOCKET, site

ORDERS = range(6)
FOUR_TIMES_TICK = ['42["tick",9]'] * 4
"""Causes more to be sent than may wait for a client before it is read on."""


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def test_a_client_that_is_behind_can_still_upgrade(clock: MockClock) -> None:
    """It polls no more, and moves once its POST is answered: that must not wait for a poll."""
    async with site(Application().server) as it:
        polls = await it.joined()
        probe = await it.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await probe.send("2probe")
        await wait_all_tasks_blocked()
        with trio.fail_after(5):
            await polls.send(*FOUR_TIMES_TICK)


async def test_a_client_that_was_behind_before_it_upgrades_can_do_so(clock: MockClock) -> None:
    async with site(Application().server) as it, trio.open_nursery() as nursery:
        polls = await it.joined()
        nursery.start_soon(polls.send, *FOUR_TIMES_TICK)
        await trio.sleep(1)
        assert nursery.child_tasks
        probe = await it.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await probe.send("2probe")
        await trio.sleep(1)
        assert not nursery.child_tasks


async def test_a_post_from_before_the_upgrade_is_answered_after_it(clock: MockClock) -> None:
    """It waits for slow handlers, and so does what comes over the WebSocket meanwhile."""
    async with site(Application().server) as it, trio.open_nursery() as nursery:
        polls = await it.joined()
        nursery.start_soon(polls.send, *['42["slow"]'] * 9)
        await wait_all_tasks_blocked()
        websocket = await it.dial(f"{WEBSOCKET}&sid={polls.sid}")
        for message in ("2probe", "5", *['42["slow"]'] * 6):
            await websocket.send(message)
        await trio.sleep(20 * SLOW)
        assert not nursery.child_tasks


@pytest.mark.parametrize("order", ORDERS)
def test_what_comes_when_its_session_has_just_ended_is_dropped(order: int) -> None:
    async def scenario() -> None:
        application = Application()
        async with site(application.server) as it:
            polls = await it.joined()
            post = polls.tell()
            post.body(b"40/cu", more=True)

            async def abort() -> None:
                await trio.sleep(2)
                application.server.namespace("/").sockets[0].abort()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(abort)
                await trio.sleep(2)
                post.body(b"stom,")
            # Either it came before the end, or its handler has not run at all.
            await trio.sleep(10)
            application.check_disconnected()

    simulate(scenario, order)


@pytest.mark.parametrize("order", ORDERS)
def test_a_probe_that_asks_when_its_time_is_over_stops_no_poll(order: int) -> None:
    """Else every poll would be answered at once for the rest of the session."""

    async def scenario() -> None:
        server = Application(upgrade_timeout=10.0).server
        async with site(server) as it, trio.open_nursery() as nursery:
            polls = await it.joined()
            near, far = memory_stream_pair()
            request = parse_request(
                b"GET %b?%b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                % (PATH.encode(), f"{WEBSOCKET}&sid={polls.sid}".encode())
            )
            assert request is not None
            nursery.start_soon(server.serve_websocket, far, request)
            await trio.sleep(10)
            far.receive_stream.put_data(frame(TEXT, b"2probe"))
            await trio.sleep(1)
            poll = polls.ask()
            await trio.sleep(1)
            assert not poll.ended.is_set()
            await trio.aclose_forcefully(near)

    simulate(scenario, order)


async def test_a_client_that_is_gone_when_it_is_let_in_is_counted_nowhere(
    clock: MockClock,
) -> None:
    """Its CONNECT is answered into a connection that breaks by that."""
    application = Application()
    async with site(application.server) as it:
        gone = await it.dial(WEBSOCKET, socket=True)
        await gone.receive()
        await gone.send("40/custom,")
        await trio.aclose_forcefully(gone.stream)
        await trio.sleep(1)
        assert application.sockets == []
        application.check_empty()


@pytest.mark.parametrize("order", ORDERS)
def test_an_answer_that_meets_the_end_of_its_connection_finds_it_closed(order: int) -> None:
    """Not busy: HTTP servers do not expect that, and one task of theirs then never ended."""

    async def scenario() -> None:
        near, far = map(trio.SocketStream, trio.socket.socketpair())
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

    simulate(scenario, order)
