"""Runs Trio so that a seed decides which of several tasks runs first.

The one module that knows Trio's private parts: it has no public switch for this.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final, TypeVar
from unittest.mock import patch

import trio
from trio._core import _run, _thread_cache
from trio.abc import Clock, Instrument
from trio.testing import MockClock

T = TypeVar("T")

_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_RANDOM: Final = "_r"


class UnsupportedTrio(RuntimeError):
    """No seed can decide the order of tasks in this version of Trio."""


class ThreadInSimulation(RuntimeError):
    """A thread was asked for; it would run at its own pace, while the clock jumps ahead."""


def run(
    async_fn: Callable[..., Awaitable[T]],
    *args: Any,
    seed: int,
    clock: Clock | None = None,
    instruments: Sequence[Instrument] = (),
) -> T:
    """Run an async function to its end as :func:`trio.run` does, the same way each time.

    Exceptions out of nurseries are groups.

    :param seed: decides in which order tasks run that could run at once.
    :param clock: default: one that stands while a task can run, and else jumps to the next
        deadline.
    :param instruments: as for :func:`trio.run`.
    :raises UnsupportedTrio: see :func:`deterministic`.
    """
    with deterministic(seed):
        return trio.run(
            async_fn,
            *args,
            clock=MockClock(autojump_threshold=0) if clock is None else clock,
            instruments=instruments,
            strict_exception_groups=True,
        )


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Make runs of Trio inside the ``with`` block depend on a seed, and on their code alone.

    For tests that call :func:`trio.run` themselves, with the clock of their choice. What is
    changed for that is put back at the end. In this thread, to start another thread raises
    :exc:`ThreadInSimulation`, and cyclic garbage is not collected. Under Hypothesis, let it draw
    the seed: the example then holds all that the run depends on.

    :raises UnsupportedTrio: Trio no longer has what this needs.
    """
    random = _checked()
    allowed, state = getattr(_run, _FLAG), random.getstate()
    collecting = gc.isenabled()
    setattr(_run, _FLAG, True)
    random.seed(seed)
    gc.disable()  # finalizers must not depend on what the process did before
    try:
        with _without_threads():
            yield
    finally:
        setattr(_run, _FLAG, allowed)
        random.setstate(state)
        if collecting:
            gc.enable()


def _checked() -> Random:
    """Return the generator by which Trio shuffles tasks.

    :raises UnsupportedTrio: there is none, or no switch for it.
    """
    random = getattr(_run, _RANDOM, None)
    if not isinstance(random, Random) or not isinstance(getattr(_run, _FLAG, None), bool):
        raise UnsupportedTrio(
            f"trio {trio.__version__} has no trio._core._run.{_FLAG} and {_RANDOM}, by which a "
            "seed decides the order of tasks; use the version that gbs-actor was tested with"
        )
    return random


@contextmanager
def _without_threads() -> Iterator[None]:
    """Refuse to start threads from this one."""
    simulated = threading.get_ident()

    def guarded(original: Callable[..., T]) -> Callable[..., T]:
        def start(*args: Any, **kwargs: Any) -> T:
            if threading.get_ident() == simulated:
                raise ThreadInSimulation(
                    "a simulation has one thread; do in it what would be done in another"
                )
            return original(*args, **kwargs)

        return start

    cache = _thread_cache.ThreadCache  # whose threads may be there already, waiting for work
    with (
        patch.object(cache, "start_thread_soon", guarded(cache.start_thread_soon)),
        patch.object(threading.Thread, "start", guarded(threading.Thread.start)),
    ):
        yield
