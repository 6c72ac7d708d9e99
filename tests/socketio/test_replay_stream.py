"""The stream that an HTTP server gets: head replayed, time limits kept."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from gbs_actor.socketio import ReplayStream


async def test_the_replayed_bytes_come_first_in_pieces_as_asked(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = ReplayStream(
        near, b"GET / HTTP", idle_timeout=60, request_timeout=30, write_timeout=30
    )
    await far.send_all(b"/1.1")
    assert await stream.receive_some(4) == b"GET "
    assert await stream.receive_some() == b"/ HTTP"
    assert await stream.receive_some() == b"/1.1"


async def test_silence_in_both_directions_ends_it(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()
    assert trio.current_time() == 60.0
    assert await far.receive_some(1) == b""


async def test_what_is_sent_counts_as_life(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)

    async def answer() -> None:
        await trio.sleep(50)
        await stream.send_all(b"event: ping\n\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
    assert trio.current_time() == 110.0


async def test_a_peer_that_takes_nothing_ends_it(clock: MockClock) -> None:
    near, far = lockstep_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x" * 1_000)
    assert trio.current_time() == 30.0
    assert await far.receive_some(2_000) in (b"", b"x" * 1_000)


async def test_the_write_limit_holds_behind_a_cancellation_shield(clock: MockClock) -> None:
    near, _ = lockstep_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    with trio.CancelScope(shield=True), pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x" * 1_000)


async def test_it_is_busy_from_the_request_to_the_answer(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = ReplayStream(near, b"GET", idle_timeout=60, request_timeout=30, write_timeout=30)
    states = [stream.busy]
    await stream.receive_some()
    states.append(stream.busy)
    await stream.send_all(b"200")
    states.append(stream.busy)
    await far.send_all(b"GET")
    await stream.receive_some()
    states.append(stream.busy)
    assert states == [True, True, False, True]


async def test_the_end_of_the_stream_is_passed_on(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    await far.aclose()
    assert await stream.receive_some() == b""
    await stream.send_eof()
    await stream.aclose()


async def test_a_memory_stream_has_no_socket_to_show(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    assert not hasattr(stream, "socket")


async def drain(stream: ReplayStream) -> None:
    while await stream.receive_some():
        pass


async def test_a_request_that_drips_is_given_up(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = ReplayStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    await stream.send_all(b"200")
    await trio.sleep(50)  # idle, which is something else

    async def drip() -> None:
        with suppress(trio.BrokenResourceError):
            while True:
                await far.send_all(b"x")
                await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        started = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            await drain(stream)
        assert trio.current_time() - started == pytest.approx(31, abs=1)
        nursery.cancel_scope.cancel()
