from __future__ import annotations

import trio
import trio.testing

from gbs_actor.server.lifetime import Lifetime, graceful


async def test_before_it_has_started_a_server_is_cancelled_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with trio.move_on_after(1) as outer:
        async with graceful(10):
            await trio.sleep(100)
    assert outer.cancelled_caught
    assert trio.current_time() == 1


async def test_a_started_server_ends_in_its_own_time_when_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps: list[str] = []
    with trio.move_on_after(1):
        async with graceful(10) as lifetime:
            lifetime.started()
            steps.append(f"started at {trio.current_time():g}")
            await lifetime.wait_for_shutdown()
            steps.append(f"shutdown requested at {trio.current_time():g}")
            await trio.sleep(3)
            steps.append("ended by itself")
    assert steps == ["started at 0", "shutdown requested at 1", "ended by itself"]
    assert trio.current_time() == 4


async def test_what_is_not_done_within_the_grace_period_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps: list[str] = []
    with trio.move_on_after(1):
        async with graceful(10) as lifetime:
            lifetime.started()
            await lifetime.wait_for_shutdown()
            await trio.sleep(100)
            steps.append("never")
    assert steps == []
    assert trio.current_time() == 11


async def test_cleaning_up_happens_inside_the_grace_period(
    autojump_clock: trio.testing.MockClock,
) -> None:
    closed_at: list[float] = []

    async def server(lifetime: Lifetime) -> None:
        try:
            lifetime.started()
            await lifetime.wait_for_shutdown()
        finally:
            await trio.sleep(2)
            closed_at.append(trio.current_time())

    with trio.move_on_after(1):
        async with graceful(10) as lifetime:
            await server(lifetime)
    assert closed_at == [3]


async def test_a_server_that_ends_by_itself_ends_the_block() -> None:
    with trio.fail_after(1):
        async with graceful(10) as lifetime:
            lifetime.started()


async def test_a_request_from_before_the_start_is_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with trio.CancelScope() as outer:
        async with graceful(10) as lifetime:
            outer.cancel()
            lifetime.started()
            await lifetime.wait_for_shutdown()
            await trio.sleep(1)
    assert trio.current_time() == 1
