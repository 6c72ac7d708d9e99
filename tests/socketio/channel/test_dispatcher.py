"""Handlers of one connection, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import trio
import trio.testing
from trio.testing import MockClock

from gbs_actor.socketio.channel.dispatcher import Dispatcher


@dataclass
class Owner:
    """A connection whose jobs are run."""

    may_start_events: bool = True

    def resume_reading(self) -> None:
        pass


async def test_progress_is_told_once_there_is_some(clock: MockClock) -> None:
    waiting: list[int] = []

    async def handler() -> None:
        await trio.sleep(1)

    class Connection(Owner):
        def resume_reading(self) -> None:
            waiting.append(len(dispatcher))

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, Connection())
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
        dispatcher = Dispatcher(nursery, Owner())

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
    owner = Owner(may_start_events=False)
    ran: list[int] = []

    async def handler(number: int) -> None:
        await trio.lowlevel.checkpoint()
        ran.append(number)

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, owner)
        dispatcher.submit(partial(ran.append, 0))
        dispatcher.submit(partial(handler, 1), when_ready=True)
        dispatcher.submit(partial(ran.append, 2))
        dispatcher.submit(partial(ran.append, 3), when_ready=True)
        dispatcher.resume()
        await trio.testing.wait_all_tasks_blocked()
        assert (ran, len(dispatcher)) == ([0], 3)
        owner.may_start_events = True
        dispatcher.resume()
        await trio.testing.wait_all_tasks_blocked()
        assert ran == [0, 1, 2, 3]
        nursery.cancel_scope.cancel()


async def test_what_becomes_unready_meanwhile_stops_the_jobs_that_wait_for_it() -> None:
    owner = Owner()
    ran: list[int] = []

    async def fill() -> None:
        await trio.lowlevel.checkpoint()
        owner.may_start_events = False

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, owner)
        dispatcher.submit(fill, when_ready=True)
        dispatcher.submit(partial(ran.append, 1), when_ready=True)
        await trio.testing.wait_all_tasks_blocked()
        assert ran == []
        owner.may_start_events = True
        dispatcher.resume()
        assert ran == [1]
        nursery.cancel_scope.cancel()


async def test_at_the_end_nothing_that_waited_is_started() -> None:
    owner = Owner(may_start_events=False)
    ran: list[int] = []
    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, owner)
        dispatcher.submit(partial(ran.append, 1), when_ready=True)
        await dispatcher.stop(1)
        owner.may_start_events = True
        dispatcher.resume()
        assert ran == []
        nursery.cancel_scope.cancel()


async def test_a_task_ends_with_the_queue_and_the_next_handler_gets_another() -> None:
    ran: list[int] = []

    async def handler(number: int) -> None:
        await trio.lowlevel.checkpoint()
        ran.append(number)

    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(nursery, Owner())
        for number in range(3):
            dispatcher.submit(partial(handler, number))
            dispatcher.submit(partial(handler, number))
            await trio.testing.wait_all_tasks_blocked()
            assert not nursery.child_tasks
    assert ran == [0, 0, 1, 1, 2, 2]
