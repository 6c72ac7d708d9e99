"""Runs a target: cases by Hypothesis within limits, until one of them fails."""

from __future__ import annotations

import gc
import math
import re
import signal
import threading
import time
import traceback
from ast import literal_eval
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from hypothesis import HealthCheck, Phase, given, reproduce_failure, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import DidNotReproduce, InvalidArgument
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from scripts.fuzz.choices import Choices

NAMES: Final = (
    "packets",
    "membership",
    "conversation",
    "frames",
    "frame-parser",
    "front-door",
    "request-head",
    "http-stream",
    "strangers",
)
"""All targets; each is the module of :mod:`scripts.fuzz.targets` that has its name."""

CPU_LIMIT: Final = 5.0
"""Seconds of its own that a case may take."""
TIME_LIMIT: Final = 60.0
"""Seconds after which a case counts as hanging, however busy the machine is."""
_ROUND_TIME: Final = 5.0
_MOST_IN_ROUND: Final = 5_000  # Hypothesis remembers all cases of a round
_FIRST_ROUND: Final = 100
_BLOB: Final = re.compile(r"@reproduce_failure\(('[^']*'), (b'[^']*')\)")

Check = Callable[[Choices], None]
"""Runs one case; raises whatever for a finding, an :exc:`AssertionError` mostly."""


@dataclass(frozen=True, slots=True)
class Target:
    """One part of the server, and what must hold for it."""

    name: str
    subject: Check | type[RuleBasedStateMachine]
    slice: int
    """Cases that the test suite runs each time."""


@dataclass
class Report:
    """What came of running one target."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    finding: str | None = None
    """One line; ``None``: no case has failed."""
    details: str = ""
    """Traceback, decisions, and for :func:`replay` the smallest case that fails."""


class TooSlow(Exception):
    """A case takes longer than any should."""


def load(name: str) -> Target:
    """Return a target.

    :raises ValueError: there is none of this name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no target {name!r}")
    module = import_module(f"scripts.fuzz.targets.{name.replace('-', '_')}")
    return cast(Target, module.TARGET)


def run(
    target: Target,
    cases: int,
    number: int,
    *,
    seconds: float = math.inf,
    progress: Callable[[int], None] = lambda cases: None,
) -> Report:
    """Run cases until one fails.

    :param number: the seed.
    :param seconds: after which no further round begins; a round takes about five.
    """
    report = Report(target.name)

    def count() -> None:
        report.cases += 1
        progress(1)

    started = time.perf_counter()
    size = min(_FIRST_ROUND, cases)
    try:
        while report.finding is None and report.cases < cases and report.seconds <= seconds:
            _run_round(target, seed(number), size, report, count)
            report.seconds = time.perf_counter() - started
            number += 1
            in_time = int(report.cases / report.seconds * _ROUND_TIME)
            size = min(cases - report.cases, max(in_time, 1), _MOST_IN_ROUND)
    finally:
        report.seconds = time.perf_counter() - started
    return report


def replay(target: Target, details: str) -> Report:
    """Run a case again.

    :param details: of the report that it was found in.
    :raises ValueError: there is no case in it, or one of another version of Hypothesis.
    """
    found = _BLOB.search(details)
    if found is None:
        raise ValueError("there is no case in it")
    report = Report(target.name, cases=1)
    case = reproduce_failure(literal_eval(found[1]), literal_eval(found[2]))
    try:
        _run_round(target, case, 1, report, lambda: None)
    except DidNotReproduce:
        pass
    except InvalidArgument as error:
        raise ValueError(str(error)) from None
    return report


def _run_round(
    target: Target,
    decorate: Callable[..., object],
    size: int,
    report: Report,
    count: Callable[[], None],
) -> None:
    """Run so many cases, and report the first that fails.

    :param decorate: chooses the cases, by a decorator of Hypothesis.
    """
    gc.collect()
    gc.freeze()  # what is there by now need not be searched for leaks case by case
    try:
        _run_subject(target.subject, decorate, size, count)
    except (DidNotReproduce, InvalidArgument):
        raise
    except Exception as error:  # noqa: BLE001  (that is what is looked for)
        report.finding, report.details = _describe(error)
    finally:
        gc.unfreeze()


def _run_subject(
    subject: Check | type[RuleBasedStateMachine],
    decorate: Callable[..., object],
    size: int,
    count: Callable[[], None],
) -> None:
    options = settings(
        max_examples=size,
        phases=[Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=True,
    )
    if isinstance(subject, type):

        class Counted(subject):  # type: ignore[misc,valid-type]
            def teardown(self) -> None:
                count()
                super().teardown()

        decorate(Counted)
        run_state_machine_as_test(Counted, settings=options)
        return

    @options
    @given(data=st.data())
    def case(data: st.DataObject) -> None:
        count()
        with _limited():
            subject(Choices(data))

    decorate(case)
    case()


@contextmanager
def _limited() -> Iterator[None]:
    """Run a case within its limits, where it runs in the main thread.

    :raises TooSlow: it does not end, or took too long.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
    started = time.thread_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if (spent := time.thread_time() - started) > CPU_LIMIT:
        raise TooSlow(f"the case has taken {spent:.1f} s")


def _interrupt(number: int, frame: object) -> None:
    raise TooSlow("the case does not end")


def _describe(error: Exception) -> tuple[str, str]:
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    where = traceback.extract_tb(cause.__traceback__)[-1]
    first_line = (str(cause).splitlines() or [""])[0][:200]
    details = "".join(traceback.format_exception(error))
    return f"{type(cause).__name__} in {where.name}: {first_line}", details
