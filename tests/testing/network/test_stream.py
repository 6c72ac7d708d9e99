"""Simulated streams: Trio's contract, and that of TCP."""

from __future__ import annotations

from random import Random

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.testing.network import PERFECT, Address, Conditions, SimStream, connection

CLIENT, SERVER = Address("192.0.2.7", 40_000), Address("198.51.100.1", 443)


def pair(conditions: Conditions = PERFECT) -> tuple[SimStream, SimStream]:
    return connection(CLIENT, SERVER, conditions)


@pytest.mark.parametrize("seed", [None, 1, 2])
async def test_it_is_a_half_closeable_stream(seed: int | None) -> None:
    def conditions() -> Conditions:
        if seed is None:
            return PERFECT
        return Conditions(random=Random(seed), splits=0.5, partial_sends=0.5, blocked_sends=0.5)

    async def make() -> tuple[SimStream, SimStream]:
        return pair(conditions())

    async def make_clogged() -> tuple[SimStream, SimStream]:
        streams = pair(conditions())
        for stream in streams:
            failures = 0
            while failures < 2:  # a send is blocked by chance only once in a row
                try:
                    stream.send_nowait(b"x" * 100_000)
                except BlockingIOError:
                    failures += 1
                else:
                    failures = 0
        return streams

    await trio.testing.check_half_closeable_stream(make, make_clogged)


async def transfer(sender: SimStream, receiver: SimStream, data: bytes, random: Random) -> bytes:
    """Return what arrives of the data."""
    received = bytearray()

    async def send() -> None:
        rest = memoryview(data)
        while rest:
            size = random.randint(1, 1_500)
            if random.random() < 0.5:
                await sender.send_all(rest[:size])
                rest = rest[size:]
            else:
                try:
                    rest = rest[sender.send_nowait(rest[:size]) :]
                except BlockingIOError:
                    await sender.wait_send_all_might_not_block()
        await sender.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while piece := await receiver.receive_some(random.choice((None, 1, 300))):
            received += piece
            if random.random() < 0.1:
                await trio.sleep(1)
    return bytes(received)


@given(st.integers(0, 2**32))
def test_no_byte_is_lost_doubled_or_reordered_under_any_conditions(seed: int) -> None:
    random = Random(seed)
    conditions = Conditions.drawn(random, latency=2.0)
    messages = random.randbytes(5_000), random.randbytes(3_000)

    async def main() -> None:
        client, server = pair(conditions)
        received: dict[int, bytes] = {}

        async def note(number: int, sender: SimStream, receiver: SimStream) -> None:
            received[number] = await transfer(sender, receiver, messages[number], random)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, 0, client, server)
            nursery.start_soon(note, 1, server, client)
        assert (received[0], received[1]) == messages

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_send_takes_what_there_is_room_for() -> None:
    client, server = pair(Conditions(buffer=10))
    assert client.send_nowait(b"123456789012") == 10
    with pytest.raises(BlockingIOError):
        client.send_nowait(b"x")
    assert await server.receive_some(4) == b"1234"
    assert client.send_nowait(b"abcdef") == 4


async def test_a_sender_waits_until_a_third_of_the_buffer_is_free() -> None:
    client, server = pair(Conditions(buffer=9))
    await client.send_all(b"123456789")
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.wait_send_all_might_not_block()
    assert scope.cancelled_caught
    await server.receive_some(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.wait_send_all_might_not_block)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        await server.receive_some(1)


async def test_bytes_arrive_after_the_latency(autojump_clock: MockClock) -> None:
    client, server = pair(Conditions(random=Random(1), latency=5.0))
    await client.send_all(b"x")
    assert await server.receive_some() == b"x"
    assert 0 < trio.current_time() <= 5


async def test_without_latency_bytes_arrive_at_once() -> None:
    client, server = pair()
    client.send_nowait(b"x")
    assert server.socket.recv(10) == b"x"


async def test_a_cut_connection_is_broken_at_both_ends() -> None:
    for end in pair():
        end.cut()
        with pytest.raises(trio.BrokenResourceError):
            await end.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await end.send_all(b"x")


async def test_a_cut_loses_what_is_in_flight(autojump_clock: MockClock) -> None:
    client, server = pair(Conditions(random=Random(1), latency=5.0))
    await client.send_all(b"x" * 1_000)
    client.cut()
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()


async def received_before_the_reset(stream: SimStream) -> bytes:
    received = b""
    try:
        while data := await stream.receive_some():
            received += data
    except trio.BrokenResourceError:
        return received
    raise AssertionError("there was no reset")


async def test_a_cut_loses_what_was_sent_behind_some_byte() -> None:
    counts = set()
    for seed in range(20):
        client, server = pair(Conditions(random=Random(seed)))
        await client.send_all(b"x" * 1_000)
        client.cut()
        counts.add(len(await received_before_the_reset(server)))
    assert len(counts) > 10


async def test_a_cut_wakes_those_that_wait() -> None:
    client, server = pair()
    with pytest.RaisesGroup(trio.BrokenResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.receive_some)
            await wait_all_tasks_blocked()
            client.cut()


async def test_nobody_notices_that_a_connection_is_half_open(autojump_clock: MockClock) -> None:
    client, server = pair(Conditions(buffer=10))
    await client.send_all(b"arrived")
    client.half_open()
    await client.send_all(b"abc")
    await client.aclose()
    assert await server.receive_some() == b"arrived"
    with trio.move_on_after(1_000) as waiting:
        await server.receive_some()
    assert waiting.cancelled_caught
    with trio.move_on_after(1_000) as waiting:
        await server.send_all(b"more than there is room for")
    assert waiting.cancelled_caught


async def test_a_paused_end_receives_nothing_so_that_the_other_finds_no_room() -> None:
    client, server = pair(Conditions(buffer=10))
    client.pause()
    assert server.send_nowait(b"0123456789abc") == 10
    with pytest.raises(BlockingIOError):
        client.socket.recv(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, b"abc")
        nursery.start_soon(client.receive_some)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        client.resume()
    assert await client.receive_some() == b"abc"


async def test_a_split_connection_delivers_so_many_bytes_at_a_time() -> None:
    client, server = pair()
    client.split(3)
    await client.send_all(b"12345")
    assert await server.receive_some() == b"123"
    client.split(None)
    await client.send_all(b"6")
    assert await server.receive_some() == b"456"


async def test_closing_with_bytes_that_were_not_received_resets_the_connection() -> None:
    client, server = pair()
    await client.send_all(b"x")
    await server.send_all(b"y")
    await server.aclose()
    assert await client.receive_some() == b"y"
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()


async def test_sending_to_an_end_that_is_closed_breaks_the_connection_behind_the_first_send() -> (
    None
):
    client, server = pair()
    await server.aclose()
    assert client.send_nowait(b"x") == 1
    with pytest.raises(BrokenPipeError):
        client.send_nowait(b"x")


async def test_a_stream_without_its_socket_is_closed() -> None:
    client, server = pair()
    socket = server.take_socket()
    await server.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await server.receive_some()
    await client.send_all(b"x")
    assert socket.recv(1) == b"x"
