"""The server's own small writes, by which /readyz knows whether changes could be stored."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.observability import OperatorEvents
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    StoreError,
    StoreStatistics,
    StoreUnavailable,
)
from gbs_actor.store.write_check import MAX_RETRY, RETRY, TIMEOUT, WriteCheck
from tests.server.running import running, settings, small_store, token

INTERVAL = 5.0


class Disk(MemoryStore):
    """A store whose next writes fail, hang or crash."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.hangs = False
        self.lease_held = True

    def statistics(self) -> StoreStatistics:
        return msgspec.structs.replace(super().statistics(), lease_held=self.lease_held)

    async def check_write(self) -> None:
        await super().check_write()
        if self.hangs:
            await trio.sleep_forever()
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def checked(store: Disk) -> AsyncIterator[WriteCheck]:
    check = WriteCheck(store, INTERVAL, OperatorEvents())
    async with check.running():
        yield check


async def test_it_knows_from_the_start(autojump_clock: trio.testing.MockClock) -> None:
    async with checked(Disk()) as check:
        assert check.failure() is None


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CommitRefused("could not extend file: No space left"), "The database refuses to write."),
        (StoreUnavailable("nobody is there"), "The database does not answer."),
        (OutcomeUnknown("lost"), "The database did not confirm a write in time."),
    ],
)
async def test_a_failed_write_is_a_reason_and_comes_right_without_traffic(
    error: StoreError,
    sentence: str,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Disk()
    async with checked(store) as check:
        store.error = error
        await trio.sleep(2.5 * INTERVAL)
        assert check.failure() == sentence
        assert check.statistics().failures == 9  # 5 s, 5.25, 5.75, 6.75, 7.75, …
        store.error = None
        await trio.sleep(1.1 * MAX_RETRY)
        assert check.failure() is None
        await trio.sleep(1.5 * INTERVAL)
        assert (check.statistics().writes, check.statistics().failures) == (3, 9)
    said = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert said == [f"not ready: {sentence} {error}"], "once, and with the store's own words"


async def test_after_a_short_outage_a_server_is_ready_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = Disk()
    store.error = StoreUnavailable("nobody is there")
    async with checked(store) as check:
        store.error = None
        assert check.failure() is not None
        await trio.sleep(1.1 * RETRY)
        assert check.failure() is None


async def test_a_write_that_hangs_is_a_reason_after_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = Disk()
    async with checked(store) as check:
        store.hangs = True
        await trio.sleep(INTERVAL + 1.1 * TIMEOUT)
        assert check.failure() == "The database did not confirm a write in time."
        store.hangs = False
        await trio.sleep(INTERVAL)
        assert check.failure() is None


async def test_a_lost_lock_is_a_reason_at_once_and_its_return_is_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = Disk()
    async with checked(store) as check:
        store.lease_held = False
        assert check.failure() == "This server does not hold the lock on its database."
        assert check.statistics().ready is False
        store.lease_held = True
        assert check.failure() is None


async def test_a_store_that_hangs_at_the_start_delays_it_by_the_time_of_one_write(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = Disk()
    store.hangs = True
    before = trio.current_time()
    async with checked(store) as check:
        assert trio.current_time() - before == TIMEOUT
        assert check.failure() is not None


async def test_a_check_that_crashes_is_no_longer_believed(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Disk()
    async with checked(store) as check:
        store.error = ZeroDivisionError("a bug")
        await trio.sleep(10 * INTERVAL)
        assert check.failure() is not None
        store.error = None
        await trio.sleep(60)
        assert check.failure() is None


async def test_operators_see_the_writes() -> None:
    async with running(await small_store(), using=settings()) as server:
        ask = (
            "GET /admin/system HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
            f"Authorization: Bearer {token(Role.ADMIN_MINISTER)}\r\n\r\n"
        )
        body = (await server.ask(ask.encode())).partition(b"\r\n\r\n")[2]
        shown = msgspec.json.decode(body)["writeCheck"]
        assert (shown["ready"], shown["writes"], shown["failures"]) == (True, 1, 0)


async def test_a_probe_asks_nothing_of_the_store() -> None:
    store = await small_store()
    async with running(store, using=settings()) as server:
        store.begin_outage()
        ask = b"GET /readyz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        assert (await server.ask(ask)).startswith(b"HTTP/1.1 200")
