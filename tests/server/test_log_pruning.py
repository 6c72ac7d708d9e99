from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing
from pydantic import SecretStr

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.server.hosted import HostedServer
from gbs_actor.server.log_pruning import INTERVAL, prune_daily
from gbs_actor.settings import Settings, StoreSettings
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.connection import connect
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import Progress
from tests.server.running import running_demo, settings
from tests.store.other_clients import ask, soon
from tests.store.worlds import Desk

LOG = "SELECT FROM lineup_change"


class RecordingStore(MemoryStore):
    """Notes what it was asked to prune, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[float, datetime]] = []
        self.audit_calls: list[tuple[float, datetime]] = []

    async def prune_log(self, before: datetime, progress: Progress | None = None) -> int:
        self.calls.append((trio.current_time(), before))
        return await super().prune_log(before, progress)

    async def prune_audit(self, before: datetime) -> int:
        self.audit_calls.append((trio.current_time(), before))
        return await super().prune_audit(before)


async def test_a_server_prunes_at_its_start_and_then_once_a_day(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = RecordingStore()
    started = trio.current_time()
    with trio.move_on_after(2.5 * INTERVAL):
        await prune_daily(store, 90, 365)
    for days, calls in ((90, store.calls), (365, store.audit_calls)):
        assert [at - started for at, _ in calls] == [0, INTERVAL, 2 * INTERVAL]
        for _, before in calls:
            assert abs(datetime.now(UTC) - timedelta(days=days) - before) < timedelta(minutes=1)


def _hosted(using: Settings) -> AbstractAsyncContextManager[None]:
    return HostedServer(lambda: using).running()


@pytest.mark.parametrize("running", [running_demo, _hosted])
async def test_a_server_prunes_while_it_runs(
    database_url: str, running: Callable[[Settings], AbstractAsyncContextManager[object]]
) -> None:
    async with PostgresStore.open(database_url) as store:
        desk = await Desk.of(store)
        person = next(row.id for row in desk.board.rows() if not row.is_leader)
        await desk.do(AssignNumber(person, 7))
    using = settings().model_copy(
        update={"store": StoreSettings(database_url=SecretStr(database_url))}
    )
    operator = await connect(database_url, deadline=soon())
    await ask(operator, "UPDATE lineup_change SET at = now() - interval '91 days'")
    assert len(await ask(operator, LOG)) == 1
    async with running(using):
        with trio.fail_after(10):
            # The database tells nobody: it has to be asked.
            while await ask(operator, LOG):  # noqa: ASYNC110
                await trio.sleep(0.01)
    await operator.close(deadline=soon())
