"""Runs Trio so that a seed decides which of several tasks runs first.

The one module that knows Trio's private parts: it has no public switch for this.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from random import Random
from typing import Any, Final, TypeVar
from unittest.mock import patch

import trio
from trio.abc import Clock, Instrument
from trio.testing import MockClock

T = TypeVar("T")

_FLAG: Final = "_run._ALLOW_DETERMINISTIC_SCHEDULING"
"""Whether Trio brings tasks into an order of their own before it shuffles them."""
_RANDOM: Final = "_run._r"
"""The generator by which it shuffles them."""
_START_THREAD: Final = "_thread_cache.ThreadCache.start_thread_soon"
"""Starts a thread, or uses one that is there already, waiting for work."""


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
    :raises RuntimeError: Trio runs already.
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
    changed for that is put back at the end; other threads are not affected, but only one at a time
    may do this. In this thread, to start another thread raises :exc:`ThreadInSimulation`, and
    cyclic garbage is not collected. Under Hypothesis, let it draw the seed: the example then holds
    all that the run depends on.

    :raises UnsupportedTrio: Trio no longer has what this needs.
    :raises RuntimeError: Trio runs already: which tasks there are does not depend on the seed.
    """
    for name in (_FLAG, _RANDOM, _START_THREAD):
        _check(name)
    if trio.lowlevel.in_trio_run():
        raise RuntimeError("a seed has to be set before Trio runs: call this outside of its run")
    collecting = gc.isenabled()
    gc.disable()  # finalizers must not depend on what the process did before
    try:
        with (
            patch(f"trio._core.{_FLAG}", True),
            patch(f"trio._core.{_RANDOM}", _Generator(seed, others=_get(_RANDOM))),
            _without_threads(),
        ):
            yield
    finally:
        if collecting:
            gc.enable()


def _get(name: str) -> Any:
    """Return a private part of Trio.

    :raises AttributeError: it has none of this name.
    """
    return attrgetter(f"_core.{name}")(trio)


def _check(name: str) -> None:
    """Check that Trio has a private part.

    :raises UnsupportedTrio: it has not.
    """
    try:
        _get(name)
    except AttributeError:
        raise UnsupportedTrio(
            f"trio {trio.__version__} has no trio._core.{name}, which is needed for a seed to "
            "decide the order of tasks; use the version that gbs-actor was tested with"
        ) from None


class _Generator:
    """Random numbers of a seed for the thread that makes it; other threads keep theirs."""

    def __init__(self, seed: int, *, others: object) -> None:
        self._random = Random(seed)  # noqa: S311  (must be the same every time)
        self._others = others
        self._thread = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        here = threading.get_ident() == self._thread
        return getattr(self._random if here else self._others, name)


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

    with (
        patch(f"trio._core.{_START_THREAD}", guarded(_get(_START_THREAD))),
        patch.object(threading.Thread, "start", guarded(threading.Thread.start)),
    ):
        yield
