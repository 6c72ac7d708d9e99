"""The stream that an HTTP server gets: head replayed, time limits kept."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from gbs_actor.socketio import HttpStream


async def test_the_replayed_bytes_come_first_in_pieces_as_asked(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = HttpStream(near, b"GET / HTTP", idle_timeout=60, request_timeout=30, write_timeout=30)
    await far.send_all(b"/1.1")
    assert await stream.receive_some(4) == b"GET "
    assert await stream.receive_some() == b"/ HTTP"
    assert await stream.receive_some() == b"/1.1"


async def test_silence_in_both_directions_ends_it(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()
    assert trio.current_time() == 60.0
    assert await far.receive_some(1) == b""


async def test_what_is_sent_counts_as_life(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)

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
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x" * 1_000)
    assert trio.current_time() == 30.0
    assert await far.receive_some(2_000) in (b"", b"x" * 1_000)


async def test_the_write_limit_holds_behind_a_cancellation_shield(clock: MockClock) -> None:
    near, _ = lockstep_stream_pair()
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    with trio.CancelScope(shield=True), pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x" * 1_000)


async def test_it_is_busy_from_the_request_to_the_answer(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = HttpStream(near, b"GET", idle_timeout=60, request_timeout=30, write_timeout=30)
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
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    await far.aclose()
    assert await stream.receive_some() == b""
    await stream.send_eof()
    await stream.aclose()


async def test_a_memory_stream_has_no_socket_to_show(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
    assert not hasattr(stream, "socket")


async def drain(stream: HttpStream) -> None:
    while await stream.receive_some():
        pass


async def test_a_request_that_drips_is_given_up(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30)
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


# What an HTTP server reports of requests


async def refused(stream: HttpStream) -> str:
    """Read until the stream gives up, and return what for."""
    with pytest.raises(trio.BrokenResourceError) as caught:
        await drain(stream)
    return str(caught.value)


GET = b"GET / HTTP/1.1\r\n\r\n"


def stream_to(near: trio.abc.HalfCloseableStream, replay: bytes = b"") -> HttpStream:
    return HttpStream(near, replay, idle_timeout=60, request_timeout=30, write_timeout=20)


async def test_an_answer_may_wait_longer_than_any_limit(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = stream_to(near, GET)
    await stream.receive_some()

    async def answer() -> None:
        with stream.answering() as arrived:
            arrived()
            await trio.sleep(1_000)
            await stream.send_all(b"200")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await refused(stream) == "idle for too long"
    assert trio.current_time() == 1_060


async def test_an_answer_may_ask_for_signs_of_life(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near, GET)
    await stream.receive_some()

    async def answer() -> None:
        with stream.answering(max_silence=85) as arrived:
            arrived()
            await trio.sleep(50)
            await far.send_all(b"a pong")
            for _ in range(10):
                await trio.sleep(10)
                await stream.send_all(b"a ping")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await stream.receive_some() == b"a pong"
        assert await refused(stream) == "pings are not answered"
        assert trio.current_time() == 135
        nursery.cancel_scope.cancel()


async def test_bytes_that_come_while_an_answer_waits_are_no_slow_request(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near, GET)

    async def ask_for_more() -> None:
        for _ in range(10):
            await trio.sleep(10)
            await far.send_all(GET)

    async def answer() -> None:
        with stream.answering() as arrived:
            arrived()
            await trio.sleep(150)
            await far.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_for_more)
        nursery.start_soon(answer)
        await drain(stream)
    assert trio.current_time() == 150


async def test_a_request_that_came_with_the_one_before_has_all_its_time(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = stream_to(near, GET + b"POST / HTTP/1.1\r\n\r\n")
    await stream.receive_some()
    with stream.answering() as arrived:
        arrived()
        await trio.sleep(100)
        await stream.send_all(b"200")
        # The HTTP server goes on with it before the app has returned from the one before.
        with stream.answering():
            assert await refused(stream) == "the request takes too long to arrive"
    assert trio.current_time() == 100 + 30 + 1


async def test_a_request_that_stops_in_the_middle_of_its_head_is_given_up(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near)
    await stream.send_all(b"200")
    await trio.sleep(50)
    await far.send_all(b"GET / HT")
    assert await refused(stream) == "the request takes too long to arrive"
    assert trio.current_time() == 50 + 30


@pytest.mark.parametrize("dripping", [True, False])
async def test_a_body_that_does_not_come_ends_it_soon_after_the_server_could_say_so(
    clock: MockClock, dripping: bool
) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near)
    await trio.sleep(50)
    await far.send_all(b"POST / HTTP/1.1\r\n\r\n")
    await stream.receive_some()
    await trio.sleep(5)

    async def drip() -> None:
        with suppress(trio.BrokenResourceError):
            while dripping:
                await far.send_all(b"x")
                await trio.sleep(4)

    with stream.answering():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert await refused(stream) == "the request takes too long to arrive"
            nursery.cancel_scope.cancel()
    assert trio.current_time() == 50 + 30 + 1


async def test_the_idle_time_runs_from_the_end_of_the_answer(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = stream_to(near, GET)
    await stream.receive_some()

    async def post() -> None:
        with stream.answering() as arrived:
            await trio.sleep(29)
            arrived()
            await trio.sleep(29)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(post)
        assert await refused(stream) == "idle for too long"
    assert trio.current_time() == 29 + 29 + 60


async def test_it_is_busy_while_an_answer_waits(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = stream_to(near, GET)
    states = [stream.busy]
    with stream.answering() as arrived:
        arrived()
        states.append(stream.busy)
        await stream.send_all(b"part of it")
        states.append(stream.busy)
    states.append(stream.busy)
    assert states == [True, True, True, False]


# A request that is answered before it has arrived


async def test_what_still_comes_of_it_is_dropped_until_the_peer_has_ended(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near, b"POST / HTTP/1.1\r\n\r\n")
    with stream.answering():
        await stream.send_all(b"404")
    assert stream.answered_early

    async def upload() -> None:
        for _ in range(3):
            await trio.sleep(0.5)
            await far.send_all(b"more")
        await far.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload)
        await stream.linger()
    assert trio.current_time() == 1.5


async def test_what_the_server_still_reads_of_it_begins_no_other_request(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near, b"POST / HTTP/1.1\r\n\r\n")
    await stream.receive_some()
    with stream.answering():
        await stream.send_all(b"404")
    await far.send_all(b"more")
    assert await stream.receive_some() == b"more"
    assert stream.answered_early


async def test_a_peer_that_goes_on_is_not_waited_for_any_longer(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near, b"POST / HTTP/1.1\r\n\r\n")
    with stream.answering():
        pass

    async def drip() -> None:
        while True:
            await far.send_all(b"x")
            await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        await stream.linger()
        nursery.cancel_scope.cancel()
    assert trio.current_time() == 2


async def test_an_endless_body_is_not_read_for_long(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    stream = stream_to(near, b"POST / HTTP/1.1\r\n\r\n")
    await far.send_all(bytes(5_000_000))
    with stream.answering():
        await stream.linger()
    assert trio.current_time() == 0


async def test_after_a_request_that_has_arrived_nothing_is_waited_for(clock: MockClock) -> None:
    near, _ = memory_stream_pair()
    stream = stream_to(near, b"GET / HTTP/1.1\r\n\r\n")
    with stream.answering() as arrived:
        arrived()
    await stream.linger()
    assert trio.current_time() == 0


@pytest.mark.parametrize(("gone", "seconds"), [(False, 20.0), (True, 0.5)])
async def test_a_server_that_waits_for_itself_is_ended(
    clock: MockClock, gone: bool, seconds: float
) -> None:
    near, far = memory_stream_pair()
    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=20)
    if gone:
        await far.aclose()
    else:
        await far.send_all(b"x")
    with trio.fail_after(100), stream.watchdog():
        await stream.receive_some()
        await trio.Event().wait()
    assert trio.current_time() == seconds


async def test_only_the_bytes_that_begin_a_request_wait_for_a_turn(clock: MockClock) -> None:
    near, far = memory_stream_pair()
    turns: list[bytes] = []

    async def turn(received: bytes | bytearray) -> None:
        turns.append(bytes(received))

    stream = HttpStream(near, idle_timeout=60, request_timeout=30, write_timeout=30, turn=turn)
    for _ in range(2):
        await far.send_all(b"head")
        await stream.receive_some()
        with stream.answering() as arrived:
            for _ in range(3):
                await far.send_all(b"body")
                await stream.receive_some()
            arrived()
            await far.send_all(b"WebSocket")
            await stream.receive_some()
    assert turns == [b"head", b"head"]
