"""One stream's call of the app: what has come for it, and what of that it has not taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
    TaskGroup,
)

MAX_WAITING: Final = 10
"""Events that may wait for the app before the peer's window is left to close."""


class Exchange:
    """Stands for Hypercorn's task group towards one stream.

    Hypercorn has the task that reads the connection wait for an app that takes nothing; so
    does the app, for a window update that is not read. Here nobody waits for the app: what
    it has not taken is not acknowledged, and the peer's window bounds it (RFC 9113 §5.2).

    :param tasks: what the app is run in.
    :param acknowledge: called with bytes that the peer may send again; must not wait.
    :param ended: called when the app has ended.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        acknowledge: Callable[[int], Awaitable[None]],
        ended: Callable[[], None],
    ) -> None:
        self.called = False
        """Whether there is an app to be told something."""
        self._tasks = tasks
        self._acknowledge = acknowledge
        self._ended = ended
        # Not without a bound: see above.
        self._put, self._take = trio.open_memory_channel[ASGIReceiveEvent](inf)
        self._owed = 0

    def spawn(self, task: Callable[..., Any], *args: Any) -> None:
        """See Hypercorn's TaskGroup."""
        self._tasks.spawn(task, *args)

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Any],
    ) -> Callable[[ASGIReceiveEvent], Any]:
        """Call the app; return what it is told of events with, which never waits."""

        async def call(
            scope: Scope,
            receive: ASGIReceiveCallable,
            send: ASGISendCallable,
            sync_spawn: Callable[..., Any],
            call_soon: Callable[..., Any],
        ) -> None:
            try:
                await app(scope, self._receive, send, sync_spawn, call_soon)
            finally:
                self._take.close()
                self._ended()
                await self._settle()

        self.called = True
        await self._tasks.spawn_app(call, config, scope, send)
        return self.tell

    async def tell(self, event: ASGIReceiveEvent) -> None:
        """Have the app receive an event; one that has ended does not miss it."""
        try:
            self._put.send_nowait(event)
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()

    async def owe(self, size: int) -> None:
        """Acknowledge so many bytes, now or when the app has caught up."""
        self._owed += size
        await self._settle()

    async def _receive(self) -> ASGIReceiveEvent:
        event = await self._take.receive()
        await self._settle()
        return event

    async def _settle(self) -> None:
        if self._owed and self._put.statistics().current_buffer_used < MAX_WAITING:
            owed, self._owed = self._owed, 0
            await self._acknowledge(owed)
