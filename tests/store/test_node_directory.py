"""What the nodes of a store know of each other, and ask of each other, whatever the store."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import trio

from gbs_actor.store.nodes import MAX_ANSWER, MAX_REQUEST, MAX_ROOMS, MAX_STATUS
from gbs_actor.store.protocol import CommitRefused
from tests.store.worlds import AnyStore

RUN, OTHER = uuid4(), uuid4()


async def test_a_node_is_known_by_what_it_has_last_reported(store: AnyStore) -> None:
    await store.nodes.report("a", RUN, b"first", b"rooms")
    await store.nodes.report("b", OTHER, b"other", b"")
    await store.nodes.report("a", RUN, b"second", None)
    reports = await store.nodes.reports()
    assert [(each.name, each.run_id, each.status) for each in reports] == [
        ("a", RUN, b"second"),
        ("b", OTHER, b"other"),
    ]
    assert all(0 <= each.age < 10 for each in reports)
    assert await store.nodes.rooms([RUN, OTHER]) == {RUN: b"rooms", OTHER: b""}


async def test_a_node_that_starts_again_takes_the_place_of_its_former_self(
    store: AnyStore,
) -> None:
    await store.nodes.report("a", RUN, b"first", b"rooms")
    await store.nodes.report("a", OTHER, b"second", b"")
    assert [each.run_id for each in await store.nodes.reports()] == [OTHER]
    await store.nodes.remove(RUN)  # the former one, late
    assert [each.run_id for each in await store.nodes.reports()] == [OTHER]
    await store.nodes.remove(OTHER)
    assert await store.nodes.reports() == []


async def test_a_request_is_taken_once_by_the_node_it_is_for_and_its_answer_once(
    store: AnyStore,
) -> None:
    first, second = uuid4(), uuid4()
    await store.nodes.ask(first, RUN, b"one", 60)
    await store.nodes.ask(second, RUN, b"two", 60)
    assert await store.nodes.take(OTHER, 10) == []
    taken = await store.nodes.take(RUN, 1)
    assert [(each.id, each.request) for each in taken] == [(first, b"one")]
    assert 0 < taken[0].timeout <= 60
    assert [each.id for each in await store.nodes.take(RUN, 10)] == [second]
    assert await store.nodes.take(RUN, 10) == []
    assert await store.nodes.take_answer(first) is None
    await store.nodes.answer(first, b"done")
    assert await store.nodes.take_answer(first) == b"done"
    assert await store.nodes.take_answer(first) is None


async def test_what_is_not_taken_in_time_never_is(store: AnyStore) -> None:
    await store.nodes.ask(uuid4(), RUN, b"late", 0.0)
    assert await store.nodes.take(RUN, 10) == []


async def test_what_is_withdrawn_is_not_taken_and_what_is_taken_is_not_withdrawn(
    store: AnyStore,
) -> None:
    first, second = uuid4(), uuid4()
    await store.nodes.ask(first, RUN, b"one", 60)
    assert await store.nodes.withdraw(first)
    assert await store.nodes.take(RUN, 10) == []
    await store.nodes.ask(second, RUN, b"two", 60)
    await store.nodes.take(RUN, 10)
    assert not await store.nodes.withdraw(second)
    await store.nodes.answer(second, b"done")
    assert await store.nodes.take_answer(second) == b"done"
    assert not await store.nodes.withdraw(second)


async def test_what_is_discarded_is_neither_taken_nor_answered(store: AnyStore) -> None:
    waiting, taken = uuid4(), uuid4()
    await store.nodes.ask(taken, RUN, b"one", 60)
    await store.nodes.take(RUN, 1)
    await store.nodes.ask(waiting, RUN, b"two", 60)
    for each in (waiting, taken, uuid4()):
        await store.nodes.discard(each)
    assert await store.nodes.take(RUN, 10) == []
    await store.nodes.answer(taken, b"done")
    assert await store.nodes.take_answer(taken) is None


async def test_only_one_of_two_takes_a_request(store: AnyStore) -> None:
    ids = [uuid4() for _ in range(20)]
    for each in ids:
        await store.nodes.ask(each, RUN, b"", 60)
    taken: list[UUID] = []

    async def take() -> None:
        while found := await store.nodes.take(RUN, 3):
            taken.extend(each.id for each in found)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        nursery.start_soon(take)
    assert sorted(taken) == sorted(ids)


async def test_what_is_too_large_is_refused(store: AnyStore) -> None:
    nodes, request = store.nodes, uuid4()
    await nodes.ask(request, RUN, bytes(MAX_REQUEST), 60)
    await nodes.take(RUN, 1)
    with pytest.raises(CommitRefused):
        await nodes.report("a", RUN, bytes(MAX_STATUS + 1), b"")
    with pytest.raises(CommitRefused):
        await nodes.report("a", RUN, b"", bytes(MAX_ROOMS + 1))
    with pytest.raises(CommitRefused):
        await nodes.ask(uuid4(), RUN, bytes(MAX_REQUEST + 1), 60)
    with pytest.raises(CommitRefused):
        await nodes.answer(request, bytes(MAX_ANSWER + 1))
