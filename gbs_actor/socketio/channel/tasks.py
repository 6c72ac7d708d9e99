"""The tasks of one channel, in a nursery that it shares with other channels."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Protocol

import trio

logger = logging.getLogger(__name__)


class TaskStarter(Protocol):
    """What starts tasks: the tasks of a channel, or a nursery."""

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a function in a task of its own."""
        ...


class TasksOwner(Protocol):
    """The channel that tasks are run for."""

    def task_failed(self) -> None:
        """Called when a task has raised; must not block."""
        ...


class ChannelTasks:
    """Starts the tasks of one channel. Without any it costs nothing but this object.

    An exception of a task is logged and ends the channel, not the others of the nursery.

    :param nursery: outlives the channel.
    :param context: each task runs in a copy of it.
    """

    __slots__ = ("_context", "_ended", "_nursery", "_scopes", "owner")

    def __init__(self, nursery: trio.Nursery, context: Context) -> None:
        self._nursery = nursery
        self._context = context
        self._scopes: dict[trio.CancelScope, None] | None = None
        self._ended: trio.Event | None = None
        self.owner: TasksOwner | None = None

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a function in a task of its own, until it returns or :meth:`cancel` is called."""
        scope = trio.CancelScope()
        if self._scopes is None:
            self._scopes = {}
        self._scopes[scope] = None
        # A copy, as this may be called within the context.
        self._context.copy().run(self._nursery.start_soon, self._run, scope, async_fn, args)

    async def _run(
        self,
        scope: trio.CancelScope,
        async_fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
    ) -> None:
        try:
            with scope:
                await async_fn(*args)
        except Exception:
            logger.exception("a task of a connection failed")
            if self.owner is not None:
                self.owner.task_failed()
        finally:
            assert self._scopes is not None
            del self._scopes[scope]
            if not self._scopes:
                self._scopes = None
                if self._ended is not None:
                    self._ended.set()

    async def cancel(self) -> None:
        """Cancel the tasks, and return when they have ended. Shielded from cancellation.

        Nothing may be started after that.
        """
        self.owner = None
        if self._scopes is None:
            return
        self._ended = trio.Event()
        for scope in self._scopes:
            scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()
