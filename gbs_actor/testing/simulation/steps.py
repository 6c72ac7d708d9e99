"""How much each step of a task does: virtual time stands still however long one takes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any, Final

import trio
from trio.abc import Instrument
from trio.lowlevel import Task

_SHOWN: Final = 6
"""Functions that are named."""
_TESTING: Final = f"{PurePath(__file__).parents[1]}/"
_PACKAGE: Final = f"{PurePath(__file__).parents[2]}/"


@dataclass(frozen=True, slots=True)
class LongStep:
    """What a task did between two checkpoints."""

    calls: int
    """Calls of Python functions, and resumptions of coroutines and generators."""
    task: str
    """Its name in Trio."""
    at: float
    """Virtual time."""
    most: tuple[tuple[str, int], ...]
    """The functions called most, and how often, in falling order."""

    def __str__(self) -> str:
        most = ", ".join(f"{count} {name}" for name, count in self.most)
        return f"{self.calls} calls in a step of {self.task} at {self.at:.3f} s: {most}"


class Steps(Instrument):
    """Counts the calls of Python functions in each step of a task; finds the longest.

    They are the same in each run of a plan, unlike time. What the simulation itself does is left
    out: what it does when the server calls it, as a sink, a stream or a store, and in its own
    tasks all but what the server does when they call it, of which each call is a step by itself.
    C functions do not count. A run takes a few times longer. While it lasts, no other profiler can
    be used in its thread.
    """

    def __init__(self) -> None:
        self.longest: LongStep | None = None
        """The first of those with the most calls."""
        self._known: dict[int, tuple[CodeType, bool | None]] = {}
        """By the id of its code, whether a function is of the simulation or of the server;
        ``None``: of neither."""
        self._counts: dict[int, int] = {}
        """By the same."""
        self._inside: bool | None = None
        """Whether the code that runs is the simulation's; ``None``: it is not clear yet."""
        self._own_task = False
        """Whether the task is the simulation's."""
        self._depth = 0
        self._borders: list[int] = []
        """Depths of the frames at which simulation and server have called each other."""
        self._task: Task

    def before_task_step(self, task: Task) -> None:
        """Begin to count."""
        self._task = task
        self._counts.clear()
        self._borders.clear()
        self._depth, self._inside, self._own_task = 0, None, False
        sys.setprofile(self._profile)

    def after_task_step(self, task: Task) -> None:
        """Stop."""
        sys.setprofile(None)
        self._compare()

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self._depth += 1
            code = frame.f_code
            key = id(code)
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = code, _is_simulated(code)
            simulated = known[1]
            if simulated is not None and simulated is not self._inside:
                self._cross(simulated)
            if not self._inside:
                self._counts[key] = self._counts.get(key, 0) + 1
        elif event == "return":
            if self._borders and self._borders[-1] == self._depth:
                self._borders.pop()
                self._inside = not self._inside
            self._depth -= 1

    def _cross(self, simulated: bool) -> None:
        if self._inside is None:
            self._own_task = simulated
        else:
            self._borders.append(self._depth)
        self._inside = simulated
        if self._own_task and not simulated and len(self._borders) == 1:
            self._compare()
            self._counts.clear()

    def _compare(self) -> None:
        """Keep what was counted if it is the longest so far."""
        calls = sum(self._counts.values())
        if self.longest is None or calls > self.longest.calls:
            most = sorted(self._counts.items(), key=lambda item: -item[1])[:_SHOWN]
            self.longest = LongStep(
                calls,
                self._task.name,
                trio.current_time(),
                tuple((_name(self._known[key][0]), count) for key, count in most),
            )


def _is_simulated(code: CodeType) -> bool | None:
    name = code.co_filename
    return name.startswith(_TESTING) if name.startswith(_PACKAGE) else None


def _name(code: CodeType) -> str:
    return f"{PurePath(code.co_filename).stem}.{code.co_qualname}"
