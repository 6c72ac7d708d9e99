"""Cases that need an event loop: a clock that jumps, and tasks in the order the case says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio._core import _run  # the order of tasks has no public switch
from trio.testing import MockClock

_order = _run._r


def run(scenario: Callable[[], Awaitable[None]], order: int) -> None:
    """Run a scenario to its end, in no time at all.

    :param order: decides which of several tasks goes first; part of the case.
    """
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    _order.seed(order)
    trio.run(scenario, clock=MockClock(autojump_threshold=0))
