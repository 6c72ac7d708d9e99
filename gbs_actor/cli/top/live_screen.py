"""The live screen of a terminal."""

from __future__ import annotations

import trio
from rich.console import Console
from rich.live import Live

from gbs_actor.cli.admin_client import AdminRequestFailed
from gbs_actor.cli.top.keyboard import pressed_keys, single_keys
from gbs_actor.cli.top.screen import HEADER_LINES, screen
from gbs_actor.cli.top.watch import Watch


class LiveScreen:
    """Shows a server until ``q`` is pressed, and goes on when it does not answer for a while."""

    def __init__(self, watch: Watch, console: Console, url: str) -> None:
        self._watch = watch
        self._console = console
        self._url = url
        self._fault = ""
        self._pressed = trio.Event()

    async def run(self, refreshes: int | None, interval: float) -> None:
        """Show one snapshot after the other.

        :param refreshes: how many; ``None``: until ``q`` is pressed.
        :param interval: seconds between two of them.
        :raises CommandFailed: the server does not answer the first time, or refuses.
        """
        await self._watch.look(self._rooms())  # a fault is said before the screen is cleared
        with (
            single_keys() as has_keys,
            Live(console=self._console, screen=True, auto_refresh=False) as live,
        ):
            async with trio.open_nursery() as nursery:
                if has_keys:
                    nursery.start_soon(self._follow_keys)
                await self._refresh(live, refreshes, interval)
                nursery.cancel_scope.cancel()

    async def _refresh(self, live: Live, refreshes: int | None, interval: float) -> None:
        view, shown = self._watch.view, 1
        while True:
            self._show(live)
            if view.ended or shown == refreshes:
                return
            with trio.move_on_after(interval) as waiting:
                await self._pressed.wait()
            self._pressed = trio.Event()
            if not view.ended and not (view.paused and waiting.cancelled_caught):
                shown += waiting.cancelled_caught
                await self._look()

    async def _look(self) -> None:
        try:
            await self._watch.look(self._rooms())
            self._fault = ""
        except AdminRequestFailed as fault:
            if not (fault.temporary or fault.status in (404, 429)):  # 404: it may come back
                raise
            self._fault = str(fault)

    def _show(self, live: Live) -> None:
        watch = self._watch
        assert watch.snapshot is not None
        live.update(
            screen(
                watch.snapshot,
                watch.rates,
                watch.view,
                url=self._url,
                live=True,
                fault=self._fault,
            ),
            refresh=True,
        )

    def _rooms(self) -> int:
        return self._console.height - HEADER_LINES

    async def _follow_keys(self) -> None:
        async for key in pressed_keys():
            self._watch.view.press(key)
            self._pressed.set()
