"""Handlers of one connection, one after the other."""

from __future__ import annotations

import trio
import trio.testing
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


async def test_each_job_that_has_ended_is_reported_once() -> None:
    ended: list[str] = []

    async def handler() -> None:
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, lambda: None)

        def outer() -> None:
            dispatcher.submit(lambda: None)
            dispatcher.submit(lambda: None, lambda: ended.append("inner"))
            dispatcher.submit(handler, lambda: ended.append("later"))
            dispatcher.submit(lambda: None, lambda: ended.append("last"))

        dispatcher.submit(outer, lambda: ended.append("outer"))
        assert ended == ["outer", "inner"]
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert ended == ["outer", "inner", "later", "last"]
