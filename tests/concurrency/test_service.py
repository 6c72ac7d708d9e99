import logging

import pytest
import trio
import trio.testing

from gbs_actor.concurrency import Backoff, Service
from gbs_actor.testing.environment import seeded_environment

PLAIN = Backoff(initial=1.0, maximum=4.0, jitter=0.0)


async def test_a_service_that_raises_starts_again_after_longer_and_longer_pauses(
    autojump_clock: trio.testing.MockClock,
) -> None:
    starts: list[float] = []

    async def serve() -> None:
        starts.append(trio.current_time())
        raise OSError("no such thing")

    service = Service("unlucky", serve, backoff=PLAIN)
    began = trio.current_time()
    with trio.move_on_after(12):
        await service.run()
    assert [start - began for start in starts] == [0, 1, 3, 7, 11]
    statistics = service.statistics()
    assert (statistics.failures, statistics.last_error) == (5, "OSError: no such thing")
    assert not statistics.running


async def test_a_service_that_ran_for_long_starts_again_soon(
    autojump_clock: trio.testing.MockClock,
) -> None:
    starts: list[float] = []

    async def serve() -> None:
        starts.append(trio.current_time())
        if len(starts) > 3:
            await trio.sleep(100)
        raise ValueError

    began = trio.current_time()
    with trio.move_on_after(109):
        await Service("s", serve, backoff=PLAIN).run()
    assert [start - began for start in starts] == [0, 1, 3, 7, 108]


async def test_a_service_is_cancelled_like_any_task() -> None:
    service = Service("s", trio.sleep_forever)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.run)
        await trio.testing.wait_all_tasks_blocked()
        assert service.statistics().running
        nursery.cancel_scope.cancel()
    assert not service.statistics().running


async def test_a_failure_is_logged_with_the_name(
    caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    failures = 0

    async def serve() -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise RuntimeError("once")

    with caplog.at_level(logging.ERROR):
        await Service("token expiry", serve).run()
    assert "token expiry" in caplog.text
    assert "RuntimeError: once" in caplog.text


async def test_a_failure_that_coincides_with_cancellation_is_logged_and_stays_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("a bug")

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail_when_cancelled)

    service = Service("pruning", serve)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert service.statistics().failures == 1
    assert "pruning" in caplog.text


async def test_its_jitter_comes_from_the_environment(
    autojump_clock: trio.testing.MockClock,
) -> None:
    starts: list[float] = []

    async def serve() -> None:
        starts.append(trio.current_time())
        if len(starts) < 3:
            raise ValueError

    await Service("s", serve, environment=seeded_environment(5)).run()
    chance = seeded_environment(5).chance
    first = starts[0] + 0.1 * (1 - 0.5 * chance())
    assert starts[1:] == [first, first + 0.2 * (1 - 0.5 * chance())]
