"""Runs a plan and checks it: all that is to be known of one of many runs."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

import msgspec
from msgspec.structs import replace

from gbs_actor.concurrency import exceptions_in
from gbs_actor.testing.simulation.checker import Violation, check
from gbs_actor.testing.simulation.plan import Plan
from gbs_actor.testing.simulation.simulate import Layer, draw_for, simulate
from gbs_actor.testing.simulation.trace import Trace


class Case(msgspec.Struct, frozen=True):
    """A run before it is made, in few words."""

    seed: int
    profile: str = "general"
    layer: Layer = "rooms"
    clients: int | None = None
    """``None``: as the profile has it."""
    steps: int | None = None
    """``None``: as the profile has it."""

    def plan(self) -> Plan:
        """Return the plan that is drawn for it."""
        return draw_for(self.layer, self.seed, self.profile, clients=self.clients, steps=self.steps)

    def with_seed(self, seed: int) -> Case:
        """Return the same with another seed."""
        return replace(self, seed=seed)


class Endless(BaseException):
    """A run has not come to its end in time; where it was is in the traceback."""


class Examined:
    """A run that was made.

    :param trace: ``None``: it has raised.
    """

    def __init__(
        self, trace: Trace | None, violations: Sequence[Violation], error: BaseException | None
    ) -> None:
        self.trace = trace
        self.violations = violations
        self.error = error

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that are broken, in order of time; an exception counts as one of its name."""
        if self.error is not None:
            return tuple(dict.fromkeys(_name(each) for each in exceptions_in(self.error)))
        return tuple(dict.fromkeys(each.rule for each in self.violations))

    def found(self) -> tuple[str, ...]:
        """Return what is wrong, in sentences; of an exception, with its traceback."""
        if self.error is not None:
            return ("".join(traceback.format_exception(self.error)).rstrip(),)
        return tuple(map(str, self.violations))


def _name(error: BaseException) -> str:
    return f"raises {type(error).__name__}"


ENDLESS: Final = _name(Endless())
"""Broken by a run that goes on for ever, perhaps without any virtual time."""
TIME_LIMIT: Final = 60.0
TIME_PER_STEP: Final = 0.2
"""Seconds of real time after which a run, and each step of it, counts as one that never ends."""


def examine(plan: Plan, layer: Layer) -> Examined:
    """Run a plan, and check it. Only for the main thread."""
    try:
        with _ending_after(TIME_LIMIT + TIME_PER_STEP * len(plan.steps)):
            trace = simulate(plan, layer=layer)
            return Examined(trace, check(trace.history), None)
    except (Exception, Endless, BaseExceptionGroup) as error:
        if any(isinstance(each, KeyboardInterrupt) for each in exceptions_in(error)):
            raise
        return Examined(None, (), error)


@contextmanager
def _ending_after(seconds: float) -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Endless(f"no end after {seconds:g} s")

    former = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, if something has caught it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, former)


class Outcome(msgspec.Struct, frozen=True):
    """What a process reports of a run."""

    case: Case
    hash: str
    """Empty: it has raised."""
    rules: tuple[str, ...]
    found: tuple[str, ...]
    counters: dict[str, int]
    repeatable: bool = True
    """Whether the same happens in each run."""

    @classmethod
    def of(cls, case: Case) -> Outcome:
        """Make a run, and return what there is to report."""
        examined = examine(case.plan(), case.layer)
        trace = examined.trace
        return cls(
            case=case,
            hash=trace.hash if trace else "",
            rules=examined.rules,
            found=examined.found(),
            counters=dict(trace.counters) if trace else {},
        )

    def differing(self, other: str) -> Outcome:
        """Return it as that of a run which differs from another one of the same seed.

        :param other: the hash of that.
        """
        sentence = f"two runs differ: {other or 'raised'} and {self.hash or 'raised'}"
        return replace(self, rules=("hash",), found=(sentence,), repeatable=False)
