"""The live tree of nurseries and tasks: what the server is doing, and where each task waits.

It names functions and lines only, no values: a local variable may hold a token or a memo. A task
with the name of a function is of that kind; ``room 2024-winter`` is a ``room``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from operator import attrgetter
from typing import Final

import msgspec
import trio
from trio.lowlevel import Task

from gbs_actor.observability.tasks import described, kind_of

MAX_TASKS: Final = 1_000
"""Tasks that are shown, at most; the others are counted."""
MAX_ALIKE: Final = 20
"""Tasks of one kind that are shown of one nursery, at most."""
MAX_FRAMES: Final = 40
"""Calls that are shown of one task, at most: the innermost ones."""

_STEP: Final = 200
"""Tasks that are looked at before other tasks run."""


class TaskNode(msgspec.Struct, frozen=True, rename="camel"):
    """A task."""

    name: str
    waits_at: tuple[str, ...]
    """Its calls, the innermost last: module, line and function. Of a task that runs, the first."""
    nurseries: tuple[NurseryNode, ...]
    """Those it has open, the outermost first."""


class NurseryNode(msgspec.Struct, frozen=True):
    """A nursery."""

    tasks: tuple[TaskNode, ...]
    others: Mapping[str, int]
    """Tasks that are not shown, by kind, with those below them."""


class TaskTree(msgspec.Struct, frozen=True):
    """All tasks of the process."""

    tasks: int
    """How many there are."""
    root: TaskNode


async def task_tree() -> TaskTree:
    """Return the tree of the running event loop.

    Other tasks run meanwhile, so its parts are of slightly different moments.
    """
    root = trio.lowlevel.current_root_task()
    assert root is not None
    living = trio.lowlevel.current_statistics().tasks_living
    return TaskTree(living, await _Walk().show(root))


async def count_tasks() -> dict[str, int]:
    """Return how many tasks there are of each kind, the most frequent first."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    counted: Counter[str] = Counter()
    await _Walk().count(root, counted)
    return dict(counted.most_common())


class _Walk:
    """One way through the tree, with pauses."""

    def __init__(self) -> None:
        self._shown = self._seen = 0

    async def show(self, task: Task) -> TaskNode:
        self._shown += 1
        await self._pause()
        waits_at = _frames(task)
        nurseries = [await self._show_nursery(each) for each in task.child_nurseries]
        return TaskNode(task.name, waits_at, tuple(nurseries))

    async def _show_nursery(self, nursery: trio.Nursery) -> NurseryNode:
        shown: list[TaskNode] = []
        alike: Counter[str] = Counter()
        others: Counter[str] = Counter()
        # In an order that does not change from one look to the next, as that of a set does.
        for task in sorted(nursery.child_tasks, key=attrgetter("name")):
            kind = kind_of(task)
            if self._shown < MAX_TASKS and alike[kind] < MAX_ALIKE:
                alike[kind] += 1
                shown.append(await self.show(task))
            else:
                await self.count(task, others)
        return NurseryNode(tuple(shown), dict(others.most_common()))

    async def count(self, task: Task, counted: Counter[str]) -> None:
        """Count a task and those below it."""
        await self._pause()
        counted[kind_of(task)] += 1
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                await self.count(child, counted)

    async def _pause(self) -> None:
        self._seen += 1
        if self._seen % _STEP == 0:
            await trio.lowlevel.checkpoint()


def _frames(task: Task) -> tuple[str, ...]:
    return tuple(described(task.iter_await_frames())[-MAX_FRAMES:])
