"""Handlers of one connection, one after the other.

A synchronous handler costs no task: it runs in the task that read the packet. A handler that
has to be awaited runs in a task; later events wait in a queue, while the connection is still
read. So do events of a client that does not read what it is sent: each
may bring it more.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from gbs_actor.socketio.channel.tasks import TaskStarter

logger = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None] | None]
"""Runs a handler; returns what is left to await, if anything."""

Done = Callable[[], None]
"""Called when a job has ended; must not raise."""

_Queued = tuple[Job, Done | None, bool]


class Dispatcher:
    """Runs jobs in order.

    :param tasks: run the task, when one is needed.
    :param on_progress: called after each job that the task has run.
    :param ready: whether jobs that wait for it may start; see :meth:`resume`.
    """

    __slots__ = (
        "_busy",
        "_ended",
        "_jobs",
        "_on_progress",
        "_ready",
        "_scope",
        "_stopped",
        "_tasks",
    )

    def __init__(
        self,
        tasks: TaskStarter,
        on_progress: Callable[[], None],
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._tasks = tasks
        self._on_progress = on_progress
        self._ready = ready
        self._jobs: deque[_Queued] | None = None  # an empty one is 0.7 KB on every connection
        self._busy = False
        self._scope: trio.CancelScope | None = None
        self._ended: trio.Event | None = None
        self._stopped = False

    def __len__(self) -> int:
        """Return how many jobs are queued, the running one not included."""
        return 0 if self._jobs is None else len(self._jobs)

    def submit(self, job: Job, done: Done | None = None, *, when_ready: bool = False) -> None:
        """Run a job now if possible, else after those in the queue. After the end, do nothing.

        :param done: called once the job has ended, unless the dispatcher has ended.
        :param when_ready: whether the job, and so all behind it, waits until it may start.
        """
        if self._stopped:
            return
        if self._busy or self._jobs or (when_ready and not self._ready()):
            if self._jobs is None:
                self._jobs = deque()
            self._jobs.append((job, done, when_ready))
        else:
            self._run_now(job, done)

    def resume(self) -> None:
        """Run the jobs that were not to start before."""
        if not self._busy and (following := self._next()) is not None:
            self._run_now(*following)

    def _run_now(self, job: Job, done: Done | None) -> None:
        """Run a job and those in the queue, up to one that has to be awaited."""
        self._busy = True
        while True:
            awaitable = _start(job)
            if awaitable is not None:
                self._hand_over(awaitable, done)
                return
            if done is not None:
                done()
            following = self._next()
            if following is None:
                self._busy = False
                return
            job, done = following

    def _next(self) -> tuple[Job, Done | None] | None:
        """Take the first job of the queue, if it may start."""
        if not self._jobs:
            return None
        job, done, when_ready = self._jobs[0]
        if when_ready and not self._ready():
            return None
        self._jobs.popleft()
        return job, done

    def _hand_over(self, awaitable: Awaitable[None], done: Done | None) -> None:
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._tasks.start_soon(self._run, self._scope, self._ended, awaitable, done)

    async def _run(
        self,
        scope: trio.CancelScope,
        ended: trio.Event,
        awaitable: Awaitable[None] | None,
        done: Done | None,
    ) -> None:
        try:
            with scope:
                await self._drain(awaitable, done)
        finally:
            self._busy = False
            self._scope = self._ended = None
            ended.set()

    async def _drain(self, awaitable: Awaitable[None] | None, done: Done | None) -> None:
        while True:
            if awaitable is not None:
                await _finish(awaitable)
            if done is not None:
                done()
            following = self._next()
            self._on_progress()  # now that the queue is shorter
            if following is None:
                return
            job, done = following
            awaitable = _start(job)

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109  (never raises TooSlowError)
        """Cancel the running handler, drop the queue, and wait until it has unwound.

        :param timeout: seconds to wait at most, for a handler that shields itself.
        """
        self._stopped = True
        self._jobs = None
        self._on_progress, self._ready = _nothing, _never  # whose they are can be freed
        if self._scope is not None and self._ended is not None:
            self._scope.cancel()
            with trio.move_on_after(timeout, shield=True):
                await self._ended.wait()


def _start(job: Job) -> Awaitable[None] | None:
    try:
        return job()
    except Exception:
        logger.exception("a handler failed")
        return None


async def _finish(awaitable: Awaitable[None]) -> None:
    try:
        await awaitable
    except Exception:
        logger.exception("a handler failed")


def _nothing() -> None:
    """Nobody needs to know the progress after the end."""


def _never() -> bool:
    """No job starts after the end."""
    return False
