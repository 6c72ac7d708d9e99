from __future__ import annotations

import pytest
import trio
from hypercorn.protocol.h2 import BufferCompleteError
from trio.testing import wait_all_tasks_blocked

from gbs_actor.server.hypercorn.http2.outgoing import HIGH_WATER, MAX_UNASKED, Outgoing


async def test_what_is_taken_is_what_was_added_in_pieces_as_asked() -> None:
    buffer = Outgoing()
    for part in (b"abc", b"", b"defg", b"h"):
        await buffer.push(part)
    assert [buffer.pop(size) for size in (0, 2, 3, 10)] == [b"", b"ab", b"cde", b"fgh"]
    assert buffer.pop(10) == b""


async def test_it_is_complete_once_everything_was_taken() -> None:
    buffer = Outgoing()
    await buffer.push(b"abc")
    buffer.set_complete()
    assert (buffer.ended, buffer.complete) == (True, False)
    buffer.pop(3)
    assert buffer.complete
    with pytest.raises(BufferCompleteError):
        await buffer.push(b"more")


async def test_a_body_of_many_is_in_memory_once() -> None:
    body = bytes(1_000_000)
    buffers = [Outgoing() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for buffer in buffers:
            nursery.start_soon(buffer.push, body)
        await wait_all_tasks_blocked()
        assert all(piece.obj is body for buffer in buffers for piece in buffer._pieces)
        nursery.cancel_scope.cancel()


async def test_who_adds_much_waits_until_most_of_it_was_taken() -> None:
    buffer, done = Outgoing(), trio.Event()

    async def add() -> None:
        await buffer.push(bytes(HIGH_WATER))
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add)
        await wait_all_tasks_blocked()
        buffer.pop(100)
        await wait_all_tasks_blocked()
        assert not done.is_set()
        buffer.pop(HIGH_WATER // 2)
        await wait_all_tasks_blocked()
        assert done.is_set()


async def test_when_it_is_closed_nobody_waits_any_longer() -> None:
    buffer = Outgoing()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(buffer.push, bytes(HIGH_WATER))
            nursery.start_soon(buffer.drain)
            await wait_all_tasks_blocked()
            buffer.close()
    assert buffer.length == 0
    await buffer.drain()


async def test_drain_waits_for_the_last_byte() -> None:
    buffer = Outgoing()
    await buffer.push(b"abc")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(buffer.drain)
        await wait_all_tasks_blocked()
        buffer.pop(2)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        buffer.pop(1)


def test_what_is_added_without_waiting_is_bounded_until_all_was_taken() -> None:
    buffer = Outgoing()
    assert buffer.push_now(bytes(MAX_UNASKED))
    assert not buffer.push_now(b"x")
    buffer.pop(MAX_UNASKED + 1)
    assert buffer.push_now(bytes(MAX_UNASKED))
