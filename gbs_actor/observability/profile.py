"""A profile of the event loop: which steps of which tasks took long."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from contextlib import suppress
from types import FrameType
from typing import Final

import msgspec
import trio
from trio.lowlevel import Task

from gbs_actor.observability.tasks import described, kind_of

MAX_SECONDS: Final = 30
SLOWEST: Final = 20
"""Steps that are shown."""

_FRAMES: Final = 8
"""Calls that are shown of a step: the innermost ones."""

Frames = list[tuple[FrameType, int]]


class TaskStep(msgspec.Struct, frozen=True, rename="camel"):
    """A task that ran from one wait to the next; nothing else ran meanwhile."""

    task: str
    seconds: float
    began_at: tuple[str, ...]
    """Where it had waited: module, line and function, the innermost last."""
    ended_at: tuple[str, ...]
    """Where it waited next; empty: it had ended."""


class TaskKind(msgspec.Struct, frozen=True, rename="camel"):
    """All tasks of one kind."""

    kind: str
    steps: int
    seconds: float
    """That they ran."""


class LoopProfile(msgspec.Struct, frozen=True, rename="camel"):
    """What the event loop did for some time."""

    seconds: float
    steps: int
    steps_per_second: float
    busy: float
    """Share of the time in which the loop did not wait for something to do, 0 to 1."""
    kinds: tuple[TaskKind, ...]
    """The most time first."""
    slowest: tuple[TaskStep, ...]
    """The slowest first."""


class ProfileRunning(Exception):
    """A profile is being made; one at a time."""


class LoopProfiler:
    """Makes profiles, one at a time. In between it costs nothing."""

    def __init__(self) -> None:
        self.running = False

    async def profile(self, seconds: float) -> LoopProfile:
        """Return what the loop does from now on. Cancellation ends it.

        :raises ProfileRunning: another one is being made.
        """
        if self.running:
            raise ProfileRunning
        self.running = True
        steps = _Steps()
        trio.lowlevel.add_instrument(steps)
        try:
            await trio.sleep(seconds)
        finally:
            self.running = False
            with suppress(KeyError):  # it has raised, and Trio has removed it
                trio.lowlevel.remove_instrument(steps)
        return steps.result()


class _Steps(trio.abc.Instrument):
    """Measures every step of every task."""

    def __init__(self) -> None:
        self._began = self._step_began = self._wait_began = time.perf_counter()
        self._waited = 0.0
        self._steps = 0
        self._times: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        self._slowest: list[tuple[float, int, TaskStep]] = []
        """A heap; the number makes steps comparable."""
        self._frames: Frames = []

    def before_io_wait(self, timeout: float) -> None:
        self._wait_began = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        self._waited += time.perf_counter() - self._wait_began

    def before_task_step(self, task: Task) -> None:
        self._frames = list(task.iter_await_frames())
        self._step_began = time.perf_counter()

    def after_task_step(self, task: Task) -> None:
        seconds = time.perf_counter() - self._step_began
        self._steps += 1
        kind = kind_of(task)
        steps, total = self._times[kind]
        self._times[kind] = steps + 1, total + seconds
        slowest = self._slowest
        if len(slowest) < SLOWEST or seconds > slowest[0][0]:
            step = TaskStep(
                task.name,
                seconds,
                _innermost(self._frames),
                _innermost(list(task.iter_await_frames())),
            )
            push = heapq.heappush if len(slowest) < SLOWEST else heapq.heapreplace
            push(slowest, (seconds, self._steps, step))

    def result(self) -> LoopProfile:
        seconds = time.perf_counter() - self._began
        kinds = [TaskKind(kind, *figures) for kind, figures in self._times.items()]
        return LoopProfile(
            seconds=seconds,
            steps=self._steps,
            steps_per_second=self._steps / seconds,
            busy=max(0.0, 1.0 - self._waited / seconds),
            kinds=tuple(sorted(kinds, key=lambda kind: -kind.seconds)),
            slowest=tuple(step for *_, step in sorted(self._slowest, reverse=True)),
        )


def _innermost(frames: Frames) -> tuple[str, ...]:
    return tuple(described(frames[-_FRAMES:]))
