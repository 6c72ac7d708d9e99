"""Handlers of one connection, one after the other."""

from __future__ import annotations

from functools import partial

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


async def test_what_waits_to_be_ready_and_all_behind_it_start_in_order_once_it_is() -> None:
    ready = False
    ran: list[int] = []

    async def handler(number: int) -> None:
        await trio.lowlevel.checkpoint()
        ran.append(number)

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, lambda: None, lambda: ready)
        dispatcher.submit(partial(ran.append, 0))
        dispatcher.submit(partial(handler, 1), when_ready=True)
        dispatcher.submit(partial(ran.append, 2))
        dispatcher.submit(partial(ran.append, 3), when_ready=True)
        dispatcher.resume()
        await trio.testing.wait_all_tasks_blocked()
        assert (ran, len(dispatcher)) == ([0], 3)
        ready = True
        dispatcher.resume()
        await trio.testing.wait_all_tasks_blocked()
        assert ran == [0, 1, 2, 3]
        nursery.cancel_scope.cancel()


async def test_what_becomes_unready_meanwhile_stops_the_jobs_that_wait_for_it() -> None:
    ready = True
    ran: list[int] = []

    async def fill() -> None:
        nonlocal ready
        await trio.lowlevel.checkpoint()
        ready = False

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, lambda: None, lambda: ready)
        dispatcher.submit(fill, when_ready=True)
        dispatcher.submit(partial(ran.append, 1), when_ready=True)
        await trio.testing.wait_all_tasks_blocked()
        assert ran == []
        ready = True
        dispatcher.resume()
        assert ran == [1]
        nursery.cancel_scope.cancel()


async def test_at_the_end_nothing_that_waited_is_started() -> None:
    ready = False
    ran: list[int] = []
    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, lambda: None, lambda: ready)
        dispatcher.submit(partial(ran.append, 1), when_ready=True)
        await dispatcher.stop(1)
        ready = True
        dispatcher.resume()
        assert ran == []
        nursery.cancel_scope.cancel()
