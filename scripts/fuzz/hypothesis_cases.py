"""Cases chosen by Hypothesis: bytes, or for targets that have one the steps of a state machine."""

from __future__ import annotations

import gc
import time
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from scripts.fuzz.findings import Finding, run_case
from scripts.fuzz.report import Progress, Report
from scripts.fuzz.target import Target
from scripts.fuzz.watch import resident

_AT_A_TIME: Final = 5_000
"""Cases of one run of Hypothesis, which remembers all of them."""


class _Failed(AssertionError):
    """A case is a finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


def run_hypothesis(
    target: Target, cases: int, number: int, progress: Progress = lambda number: None
) -> Report:
    """Run so many cases, until the first finding.

    :param number: the seed.
    """
    report = Report(target.name, "hypothesis")

    def count() -> None:
        report.cases += 1
        progress(1)

    started = time.perf_counter()
    while report.cases < cases and not report.findings:
        number += 1
        wanted = min(_AT_A_TIME, cases - report.cases)
        options = settings(
            max_examples=wanted,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        try:
            if target.machine is not None:
                _run_machine(target.machine, options, number, count)
            else:
                _run_bytes(target, options, number, count)
        except _Failed as failure:
            report.findings.append(failure.finding)
        except Exception as error:  # noqa: BLE001  (that is what is looked for)
            what = f"{type(error).__name__}: {error}"
            report.findings.append(Finding(target.name, None, what, "\n".join(error.__notes__)))
        if not report.memory_before:
            gc.collect()
            report.memory_before = resident()
    report.seconds = time.perf_counter() - started
    gc.collect()
    report.memory_after = resident()
    return report


def _run_bytes(target: Target, options: settings, number: int, count: Any) -> None:
    @seed(number)
    @options
    @given(case=st.binary(max_size=target.max_size))
    def run(case: bytes) -> None:
        count()
        finding = run_case(target, case)
        if finding is not None:
            raise _Failed(finding)

    run()


def _run_machine(
    machine: type[RuleBasedStateMachine], options: settings, number: int, count: Any
) -> None:
    class Counted(machine):  # type: ignore[misc,valid-type]
        def teardown(self) -> None:
            count()
            super().teardown()

    run_state_machine_as_test(seed(number)(Counted), settings=options)
