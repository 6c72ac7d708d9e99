from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trio
import trio.testing

from gbs_actor.server.log_pruning import INTERVAL, prune_daily
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import Progress


class RecordingStore(MemoryStore):
    """Notes what it was asked to prune, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[float, datetime]] = []

    async def prune_log(self, before: datetime, progress: Progress | None = None) -> int:
        self.calls.append((trio.current_time(), before))
        return await super().prune_log(before, progress)


async def test_a_server_prunes_at_its_start_and_then_once_a_day(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = RecordingStore()
    started = trio.current_time()
    with trio.move_on_after(2.5 * INTERVAL):
        await prune_daily(store, 90)
    assert [at - started for at, _ in store.calls] == [0, INTERVAL, 2 * INTERVAL]
    for _, before in store.calls:
        assert abs(datetime.now(UTC) - timedelta(days=90) - before) < timedelta(minutes=1)
