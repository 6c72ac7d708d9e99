"""Handlers of one connection, one after the other.

A synchronous handler costs no task: it runs in the task that read the packet. A handler that
has to be awaited runs in a task, with those that follow meanwhile: they wait in a queue, while
the connection is still read. So do events of a client that does not read what it is sent: each
may bring it more.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import trio

from gbs_actor.socketio.channel.tasks import TaskStarter

logger = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None] | None]
"""Runs a handler; returns what is left to await, if anything."""

Done = Callable[[], None]
"""Called when a job has ended; must not raise."""

_Queued = tuple[Job, Done | None, bool]


A = TypeVar("A")
B = TypeVar("B")


class DispatcherOwner(Protocol):
    """What jobs are run for. Nothing may block or raise."""

    @property
    def may_start_events(self) -> bool:
        """Whether jobs that wait for it may start; see :meth:`Dispatcher.resume`."""
        ...

    def resume_reading(self) -> None:
        """Called after each job that the task has run, and when there is less that is not done."""
        ...


class Dispatcher:
    """Runs jobs in order.

    :param tasks: run the task, when one is needed.
    """

    __slots__ = ("_busy", "_ended", "_jobs", "_owner", "_scope", "_stopped", "_tasks")

    def __init__(self, tasks: TaskStarter, owner: DispatcherOwner) -> None:
        self._tasks = tasks
        self._owner = owner
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
        if self._busy or self._jobs or (when_ready and not self._owner.may_start_events):
            if self._jobs is None:
                self._jobs = deque()
            self._jobs.append((job, done, when_ready))
        else:
            self._run_now(job, done)

    def run(self, handle: Callable[[A, B], Awaitable[None] | None], a: A, b: B, done: Done) -> bool:
        """Run ``handle(a, b)`` now if nothing is before it, as :meth:`submit` does a job.

        :param done: see :meth:`submit`.
        :returns: whether it was run, or is.
        """
        if self._busy or self._jobs or self._stopped:
            return False
        self._busy = True
        try:
            awaitable = handle(a, b)
        except Exception:
            logger.exception("a handler failed")
            awaitable = None
        if awaitable is not None:
            self._hand_over(awaitable, done)
            return True
        done()
        self._busy = False
        if self._jobs:  # of the handler itself
            self.resume()
            self._owner.resume_reading()
        return True

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
        if when_ready and not self._owner.may_start_events:
            return None
        self._jobs.popleft()
        return job, done

    def _hand_over(self, awaitable: Awaitable[None], done: Done | None) -> None:
        # The task ends with the queue. If it waited for more, a crowd that joins would have one
        # each, 3 KB, and a process hardly gives memory back.
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._tasks.start_soon(self._run, self._scope, self._ended, awaitable, done)

    async def _run(
        self,
        scope: trio.CancelScope,
        ended: trio.Event,
        awaitable: Awaitable[None],
        done: Done | None,
    ) -> None:
        try:
            with scope:
                await self._drain(awaitable, done)
                self._busy = False
        finally:
            self._scope = self._ended = None
            ended.set()

    async def _drain(self, awaitable: Awaitable[None] | None, done: Done | None) -> None:
        while True:
            if awaitable is not None:
                await _finish(awaitable)
            if done is not None:
                done()
            following = self._next()
            self._owner.resume_reading()  # now that the queue is shorter
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
        self._owner = NOBODY  # the connection can be freed
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


class _Nobody:
    """Owns a dispatcher that has ended."""

    may_start_events = False

    def resume_reading(self) -> None:
        """Nothing is read after the end."""


NOBODY: Final[DispatcherOwner] = _Nobody()
