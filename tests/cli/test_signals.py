"""``serve`` ends in good order at the first signal, and at once at the second."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.cli.signals import MARGIN, serve_until_signal
from gbs_actor.settings import Settings

GRACE = Settings().server.shutdown_grace


class Server:
    """What ``gbs_actor.server.serve`` is to the command line: it drains when cancelled."""

    def __init__(self, drain: Callable[[], Awaitable[object]]) -> None:
        self.drain = drain
        self.served_demo: bool | None = None
        self.drained = False

    async def __call__(
        self,
        settings: Settings,
        *,
        demo: bool,
        reloads: AsyncIterator[object],
        task_status: trio.TaskStatus[Any],
    ) -> None:
        self.served_demo = demo
        task_status.started("the addresses")
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self.drain()
            self.drained = True


async def send(number: signal.Signals) -> None:
    """Send a signal to this process, and let the receiver have it."""
    os.kill(os.getpid(), number)
    await trio.testing.wait_all_tasks_blocked()


async def run(
    server: Server,
    script: Callable[[], Awaitable[None]],
    *,
    demo: bool = False,
    at_end: Callable[[], None] = lambda: None,
) -> list[int]:
    """Serve, run the script once the server is up, and return what ended the process.

    ``at_end`` lets a server go that would hang in a process which really ends.
    """
    ended: list[int] = []
    announced: list[Any] = []
    up = trio.Event()

    def announce(addresses: Any) -> None:
        announced.append(addresses)
        up.set()

    def end(number: int) -> None:
        ended.append(number)
        at_end()

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def actions() -> None:
            await up.wait()
            await script()

        await serve_until_signal(server, Settings(), demo=demo, announce=announce, end=end)
    assert announced == ["the addresses"]
    return ended


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_lets_the_server_drain(
    number: signal.Signals, autojump_clock: MockClock
) -> None:
    server = Server(partial(trio.sleep, GRACE / 2))
    assert await run(server, lambda: send(number)) == []
    assert server.drained


async def test_a_second_signal_ends_it_at_once(autojump_clock: MockClock) -> None:
    hanging = trio.Event()
    server = Server(hanging.wait)

    async def twice() -> None:
        await send(signal.SIGTERM)
        await send(signal.SIGINT)

    started = trio.current_time()
    assert await run(server, twice, at_end=hanging.set) == [signal.SIGINT]
    assert trio.current_time() - started < GRACE


async def test_a_server_that_hangs_beyond_its_grace_period_is_ended(
    autojump_clock: MockClock,
) -> None:
    server = Server(partial(trio.sleep, 10 * (GRACE + MARGIN)))
    started = trio.current_time()
    ends: list[float] = []

    def end(_number: int) -> None:
        ends.append(trio.current_time() - started)

    async def stop() -> None:
        await send(signal.SIGTERM)

    async with trio.open_nursery() as nursery:

        def announce(_addresses: Any) -> None:
            nursery.start_soon(stop)

        await serve_until_signal(server, Settings(), demo=False, announce=announce, end=end)
    assert ends == [pytest.approx(GRACE + MARGIN)]


async def test_a_signal_while_the_server_still_starts_stops_it(autojump_clock: MockClock) -> None:
    class Slow(Server):
        async def __call__(
            self,
            settings: Settings,
            *,
            demo: bool,
            reloads: AsyncIterator[object],
            task_status: trio.TaskStatus[Any],
        ) -> None:
            await send(signal.SIGINT)
            await trio.sleep(3600)

    announced: list[Any] = []
    server = Slow(trio.lowlevel.checkpoint)
    await serve_until_signal(server, Settings(), demo=False, announce=announced.append)
    assert announced == []
    assert trio.current_time() < 3600


async def test_a_server_that_fails_takes_the_command_with_it() -> None:
    class Failing(Server):
        async def __call__(
            self,
            settings: Settings,
            *,
            demo: bool,
            reloads: AsyncIterator[object],
            task_status: trio.TaskStatus[Any],
        ) -> None:
            raise OSError("no port")

    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await serve_until_signal(
            Failing(trio.lowlevel.checkpoint), Settings(), demo=False, announce=lambda _: None
        )


async def test_whether_it_is_a_demo_is_passed_on(autojump_clock: MockClock) -> None:
    server = Server(trio.lowlevel.checkpoint)
    await run(server, lambda: send(signal.SIGTERM), demo=True)
    assert server.served_demo is True


class Reloading(Server):
    """Counts the wishes to read the certificate again, from when it is let to."""

    def __init__(self, drain: Callable[[], Awaitable[object]]) -> None:
        super().__init__(drain)
        self.reloads = 0
        self.looks = trio.Event()

    async def __call__(
        self,
        settings: Settings,
        *,
        demo: bool,
        reloads: AsyncIterator[object],
        task_status: trio.TaskStatus[Any],
    ) -> None:
        async def count() -> None:
            await self.looks.wait()
            async for _ in reloads:
                self.reloads += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await super().__call__(settings, demo=demo, reloads=reloads, task_status=task_status)


async def test_each_hangup_is_a_wish_to_reload_and_no_end(autojump_clock: MockClock) -> None:
    server = Reloading(trio.lowlevel.checkpoint)
    server.looks.set()

    async def script() -> None:
        for _ in range(3):
            await send(signal.SIGHUP)
        assert server.reloads == 3
        await send(signal.SIGTERM)

    assert await run(server, script) == []


async def test_a_hangup_that_nobody_looks_at_any_more_does_not_end_the_process(
    autojump_clock: MockClock,
) -> None:
    async def script() -> None:
        await send(signal.SIGHUP)
        await send(signal.SIGTERM)

    server = Reloading(trio.lowlevel.checkpoint)
    assert await run(server, script) == []
    assert (server.drained, server.reloads) == (True, 0)
