"""What a task is, and where it waits: names of functions and lines, no values."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType

from trio.lowlevel import Task


def kind_of(task: Task) -> str:
    """Return what a task is one of: the names of rooms are no kinds."""
    return task.name.partition(" ")[0]


def described(frames: Iterable[tuple[FrameType, int]]) -> list[str]:
    """Return module, line and function of each call, the innermost last.

    :param frames: with their lines, as ``Task.iter_await_frames`` yields them.
    """
    return [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_qualname}"
        for frame, line in frames
    ]
