from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.client.errors import Disconnected
from gbs_actor.client.updates import (
    EditingMarked,
    ListReplaced,
    PresenceChanged,
    RowUpdated,
    Update,
    UpdateFeed,
)
from gbs_actor.lineup.records import Row
from tests.client.peer import row


def _updated(row_id: int, revision: int) -> RowUpdated:
    return RowUpdated(msgspec.convert(row(row_id, revision), Row))


async def _read(feed: UpdateFeed) -> list[Update]:
    feed.end(None)
    return [update async for update in feed]


async def test_updates_come_in_the_order_of_their_arrival() -> None:
    feed = UpdateFeed()
    sent: list[Update] = [_updated(1, 1), _updated(2, 2), PresenceChanged((), 0), _updated(3, 3)]
    for update in sent:
        feed.put(update)
    assert await _read(feed) == sent


async def test_a_newer_state_of_a_waiting_row_goes_to_the_end() -> None:
    feed = UpdateFeed()
    for update in (_updated(1, 1), _updated(2, 2), _updated(1, 3)):
        feed.put(update)
    assert await _read(feed) == [_updated(2, 2), _updated(1, 3)]
    assert feed.conflated == 1


async def test_a_replaced_list_makes_waiting_rows_meaningless() -> None:
    feed = UpdateFeed()
    feed.put(_updated(1, 1))
    feed.put(ListReplaced((), 9))
    assert await _read(feed) == [ListReplaced((), 9)]


async def test_marks_of_two_authors_do_not_replace_each_other() -> None:
    feed = UpdateFeed()
    marks = [EditingMarked(1, 7, 7, "a", None, True), EditingMarked(1, 8, 8, "b", None, True)]
    for mark in marks:
        feed.put(mark)
    assert await _read(feed) == marks


@given(st.lists(st.integers(0, 9), max_size=200))
def test_no_more_updates_wait_than_there_are_rows(ids: list[int]) -> None:
    feed = UpdateFeed()
    for revision, row_id in enumerate(ids):
        feed.put(_updated(row_id, revision))
    assert feed.waiting == len(set(ids))


async def test_a_cancelled_wait_loses_nothing() -> None:
    feed = UpdateFeed()
    with trio.CancelScope() as scope:
        scope.cancel()
        feed.put(_updated(1, 1))
        await anext(feed)
    assert await anext(feed) == _updated(1, 1)


async def test_a_waiting_reader_is_woken() -> None:
    feed = UpdateFeed()
    read: list[Update] = []

    async def reader() -> None:
        read.append(await anext(feed))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        feed.put(_updated(1, 1))
    assert read == [_updated(1, 1)]


async def test_a_failed_client_is_told_after_what_still_waited() -> None:
    feed = UpdateFeed()
    feed.put(_updated(1, 1))
    feed.end(Disconnected("gone"))
    assert await anext(feed) == _updated(1, 1)
    with pytest.raises(Disconnected):
        await anext(feed)
