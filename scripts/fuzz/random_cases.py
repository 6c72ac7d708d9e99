"""Cases of random bytes, which the targets make into something that means nearly something."""

from __future__ import annotations

import gc
import time
from random import Random
from typing import Final

from scripts.fuzz.findings import Finding, run_case, shrunk
from scripts.fuzz.report import Progress, Report
from scripts.fuzz.target import Target
from scripts.fuzz.watch import resident

MAX_GROWTH: Final = 64_000_000
"""Bytes that the process may grow by, once it is warm."""
_WARM_UP: Final = 2_000
_ENOUGH: Final = 10
"""Different findings after which a target is left."""


def case_maker(target: Target, seed: int) -> Random:
    """Return what makes a target's cases; the same for the same seed."""
    return Random(f"{target.name} {seed}")  # a text seeds it the same in every process


def make_case(target: Target, random: Random) -> bytes:
    """Return a case of any length up to the target's largest."""
    return random.randbytes(random.randint(0, target.max_size))


def run_random(
    target: Target, cases: int, seed: int, progress: Progress = lambda number: None
) -> Report:
    """Run so many cases, and collect what goes wrong."""
    report = Report(target.name, "random")
    seen: dict[str, Finding] = {}
    random = case_maker(target, seed)
    gc.collect()
    gc.freeze()  # what is there by now need not be looked through for leaks case by case
    try:
        started = time.perf_counter()
        for number in range(cases):
            if number == min(_WARM_UP, cases // 2):
                gc.collect()
                report.memory_before = resident()
            before = time.perf_counter()
            finding = run_case(target, make_case(target, random))
            report.slowest = max(report.slowest, time.perf_counter() - before)
            report.cases += 1
            progress(1)
            if finding is not None and finding.what not in seen:
                seen[finding.what] = finding
                if len(seen) == _ENOUGH:
                    break
        report.seconds = time.perf_counter() - started
        gc.collect()
        report.memory_after = resident()
        report.findings = [shrunk(target, finding) for finding in seen.values()]
    finally:
        gc.unfreeze()
    if report.growth > MAX_GROWTH:
        what = f"the process has grown by {report.growth / 1e6:.0f} MB"
        report.findings.append(Finding(target.name, None, what, ""))
    return report
