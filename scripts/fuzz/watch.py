"""Limits for one case, and what the process takes of memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CPU_LIMIT: Final = 5.0
"""Seconds of its own that a case may take."""
_HANGING: Final = 60.0
"""Seconds after which a case is taken to hang, however busy the machine is."""
_STATM: Final = Path("/proc/self/statm")


class TooSlow(Exception):
    """A case takes longer than any should."""


@contextmanager
def watched() -> Iterator[None]:
    """Run a case within its limits.

    :raises TooSlow: it does not end, or took too long.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _hanging)
    signal.setitimer(signal.ITIMER_REAL, _HANGING)
    started = time.thread_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if (spent := time.thread_time() - started) > CPU_LIMIT:
        raise TooSlow(f"the case has taken {spent:.1f} s")


def _hanging(number: int, frame: object) -> None:
    raise TooSlow("the case does not end")


def resident() -> int:
    """Return the bytes of memory that this process has now."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1_024
