"""Code that ends soon, or fails the test instead of keeping it for hours."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_soon(seconds: float = 20.0) -> Iterator[None]:
    """Interrupt what the block does by an :exc:`AssertionError`, a long regular expression too.

    The time is no measurement: what is meant ends in a thousandth of it, or not at all.
    """

    def too_late(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not ended after {seconds} s")

    former = signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
