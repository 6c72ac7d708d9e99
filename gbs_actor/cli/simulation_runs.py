"""What ``simulate`` does: runs of seeds, and a small plan for each rule that one breaks."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from gbs_actor.cli.failures import CommandFailed
from gbs_actor.cli.progress import Progress, progress_bar, rate_bar
from gbs_actor.testing.simulation import Plan
from gbs_actor.testing.simulation.examining import ENDLESS, Case, Outcome, examine
from gbs_actor.testing.simulation.shrink import shrink
from gbs_actor.testing.simulation.simulate import Layer
from gbs_actor.testing.simulation.workers import WorkerDied, outcomes

if TYPE_CHECKING:
    from gbs_actor.cli.simulation_output import Report

SHRINK_TIME: Final = 120.0
"""Seconds for the search for a smaller plan."""


class Runs:
    """The runs of many seeds.

    :param case: the first one.
    :param end: the seed at which they end.
    :param keep_going: whether they go on when a rule was broken.
    :param percent: how many are run again, in other processes.
    """

    def __init__(
        self, case: Case, end: int, *, jobs: int, keep_going: bool, percent: float
    ) -> None:
        self.case = case
        self.keep_going = keep_going
        self.done = 0
        """How many runs have ended."""
        self.interrupted = False
        """Whether Ctrl-C has ended them."""
        self.counters: Counter[str] = Counter()
        self._seeds = range(case.seed, end)
        self._again = self._seeds[:: max(1, round(100 / percent))] if percent else range(0)
        self._jobs = jobs
        self._hashes: dict[int, str] = {}

    @property
    def total(self) -> int:
        """How many runs there are to be."""
        return len(self._seeds) + len(self._again)

    def findings(self, progress: Progress) -> Generator[Outcome]:
        """Make the runs, and yield those that break a rule."""
        try:
            yield from self._first(progress)
            yield from self._second(progress)
        except WorkerDied as died:
            raise CommandFailed(f"{died} (exit code {died.exit_code}).".capitalize()) from None

    def _first(self, progress: Progress) -> Iterator[Outcome]:
        again = set(self._again)
        for outcome in self._outcomes(self._seeds, progress):
            self.counters.update(outcome.counters)
            if outcome.case.seed in again:
                self._hashes[outcome.case.seed] = outcome.hash
            if outcome.rules:
                yield outcome

    def _second(self, progress: Progress) -> Iterator[Outcome]:
        for outcome in self._outcomes(self._again, progress):
            before = self._hashes[outcome.case.seed]
            if outcome.hash != before:
                yield outcome.differing(before)

    def _outcomes(self, seeds: range, progress: Progress) -> Iterator[Outcome]:
        cases = (self.case.with_seed(seed) for seed in seeds)
        jobs = min(self._jobs, len(seeds))
        with closing(outcomes(cases, jobs=jobs)) as found:
            for outcome in found:
                self.done += 1
                progress(self.done, self.total)
                yield outcome


def run_seeds(runs: Runs, report: Report, *, counters: bool) -> bool:
    """Make runs, and report what they find; of each broken rule, one run as a small plan.

    :returns: whether there is anything.
    """
    first: dict[str, Outcome] = {}
    found = 0
    started = time.perf_counter()
    title = f"{runs.case.layer}, {runs.case.profile}"
    with rate_bar(title) as progress, closing(runs.findings(progress)) as findings:
        try:
            for outcome in findings:
                found += 1
                report.found(outcome)
                first.setdefault(outcome.rules[0], outcome)
                if not runs.keep_going:
                    break
        except KeyboardInterrupt:
            runs.interrupted = True
    seconds = time.perf_counter() - started
    if counters:
        report.counters(runs.counters)
    report.summary(runs.done, runs.total, found, seconds)
    for outcome in () if runs.interrupted else first.values():
        if outcome.repeatable:
            _report_smallest(outcome.case.plan(), outcome.case.layer, outcome.rules[0], report)
    return found > 0


def run_plan(plan: Plan, layer: Layer, report: Report, *, trace: bool) -> bool:
    """Make one run, and report it.

    :param trace: whether all of it is reported, instead of a smaller plan.
    :returns: whether it breaks a rule.
    """
    examined = examine(plan, layer)
    if trace:
        report.trace(examined)
        return bool(examined.rules)
    if not examined.rules:
        report.summary(1, 1, 0, 0.0)
        return False
    _report_smallest(plan, layer, examined.rules[0], report)
    return True


def _report_smallest(plan: Plan, layer: Layer, rule: str, report: Report) -> None:
    if rule != ENDLESS:  # else each attempt would be as long
        plan = smallest(plan, layer, rule)
    report.smallest(plan, layer, examine(plan, layer))


def smallest(plan: Plan, layer: Layer, rule: str) -> Plan:
    """Return a small plan that breaks a rule, too.

    Ctrl-C ends the search, and so does :data:`SHRINK_TIME`.
    """
    with progress_bar("Making it smaller: runs") as progress, _interruptible() as ends:
        attempts = 0

        def still_breaks(smaller: Plan) -> bool:
            nonlocal attempts
            if ends():
                return False
            attempts += 1
            progress(attempts, None)
            return rule in examine(smaller, layer).rules

        return shrink(plan, still_breaks)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Return what tells whether to end: Ctrl-C was pressed, or the time is over."""
    deadline = time.perf_counter() + SHRINK_TIME
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, former)  # a second one ends the command

    former = signal.signal(signal.SIGINT, interrupt)
    try:
        yield lambda: interrupted or time.perf_counter() > deadline
    finally:
        signal.signal(signal.SIGINT, former)
