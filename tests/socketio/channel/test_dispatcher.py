"""Handlers of one connection, one after the other."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.socketio.channel.dispatcher import Dispatcher


async def test_progress_is_told_once_there_is_some(clock: MockClock) -> None:
    waiting: list[int] = []

    async def handler() -> None:
        await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, lambda: waiting.append(len(dispatcher)))
        for _ in range(4):
            dispatcher.submit(handler)
        assert len(dispatcher) == 3
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert waiting == [2, 1, 0, 0]
