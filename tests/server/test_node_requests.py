"""What a server does of what others ask of it, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import trio
from trio.testing import MockClock

from gbs_actor.concurrency import background
from gbs_actor.server.node_requests import AT_ONCE, LOOK_WITHIN, NodeRequests
from gbs_actor.store.memory_nodes import MemoryNodes
from gbs_actor.store.nodes import MAX_ANSWER, NodeRequest
from gbs_actor.store.protocol import StoreUnavailable

RUN = UUID(int=1)


class Asked:
    """The requests to a node in a store in memory, and how its store behaves."""

    def __init__(self) -> None:
        self.store = MemoryNodes(trio.lowlevel.checkpoint)
        self.answer_takes = 0.0
        """Seconds for which the store's reply to a look for requests is on its way."""
        self.reachable = True

    async def take(self, limit: int) -> list[NodeRequest]:
        if not self.reachable:
            raise StoreUnavailable("no connection")
        found = await self.store.take(RUN, limit)
        await trio.sleep(self.answer_takes)
        return found

    async def answer(self, request: NodeRequest, answer: bytes) -> None:
        await self.store.answer(request.id, answer)

    async def ask(self, request: bytes, seconds: float = 3.0) -> UUID:
        request_id = uuid4()
        await self.store.ask(request_id, RUN, request, seconds)
        return request_id


def serving(asked: Asked, serve: Callable[[bytes], Awaitable[bytes]]) -> NodeRequests:
    return NodeRequests(asked, serve, too_large=b"too large", interval=LOOK_WITHIN)


async def test_what_arrives_late_is_not_done(autojump_clock: MockClock) -> None:
    asked, done = Asked(), []

    async def serve(request: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        done.append(request)
        return b"done"

    async with background(serving(asked, serve).run):
        asked.answer_takes = 5.0
        late = await asked.ask(b"late")
        await trio.sleep(20)
        asked.answer_takes = 0.0
        await trio.sleep(6)
        in_time = await asked.ask(b"in time")
        await trio.sleep(1)
    assert done == [b"in time"]
    assert await asked.store.take_answer(late) is None
    assert await asked.store.take_answer(in_time) == b"done"


async def test_only_so_many_are_under_way_and_the_others_wait_in_the_store(
    autojump_clock: MockClock,
) -> None:
    asked, under_way = Asked(), 0
    most = 0

    async def serve(request: bytes) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(1)
        under_way -= 1
        return request

    async with background(serving(asked, serve).run):
        ids = [await asked.ask(b"%d" % number, 60) for number in range(3 * AT_ONCE)]
        await trio.sleep(5)
    assert most == AT_ONCE
    answers = [await asked.store.take_answer(each) for each in ids]
    assert answers == [b"%d" % number for number in range(3 * AT_ONCE)]


async def test_an_answer_that_cannot_be_stored_is_replaced(autojump_clock: MockClock) -> None:
    asked = Asked()

    async def serve(request: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return bytes(MAX_ANSWER + 1)

    async with background(serving(asked, serve).run):
        request_id = await asked.ask(b"")
        await trio.sleep(1)
    assert await asked.store.take_answer(request_id) == b"too large"


async def test_without_the_store_it_goes_on_later(autojump_clock: MockClock) -> None:
    asked = Asked()

    async def serve(request: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return request

    async with background(serving(asked, serve).run):
        asked.reachable = False
        await trio.sleep(60)
        asked.reachable = True
        request_id = await asked.ask(b"again")
        await trio.sleep(1)
    assert await asked.store.take_answer(request_id) == b"again"
