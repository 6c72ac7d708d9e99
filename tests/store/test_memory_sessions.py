"""Session locations in memory, where time can be told."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import SessionLocation, SessionRecord

HERE = SessionLocation("winter", "epoch", joined_revision=3, known_elsewhere=-1)


async def test_one_that_was_just_taken_over_is_not_old(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    await store.update_session_locations({"one": SessionRecord(HERE), "two": SessionRecord(HERE)})
    await trio.sleep(86_400)
    await store.take_over_session("one")
    assert await store.prune_session_locations(3_600) == 1
    assert await store.find_session_location("one") == SessionRecord(HERE, 1)
