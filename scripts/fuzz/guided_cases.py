"""Cases varied by atheris, which runs in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

from scripts.fuzz.findings import Finding, run_case, shrunk
from scripts.fuzz.random_cases import case_maker, make_case
from scripts.fuzz.report import Progress, Report
from scripts.fuzz.target import Target

_ROOT: Final = Path(__file__).parents[2]
_STATUS: Final = re.compile(r"#(\d+)\s.*?\brss: (\d+)Mb")
_DONE: Final = re.compile(r"Done (\d+) runs")
_FIRST_CASES: Final = 100
_CASE_TIMEOUT: Final = 60
_MEMORY_LIMIT: Final = 2_048  # MB
_CRASHED: Final = 77
_LAST_LINES: Final = 200


def available() -> bool:
    """Return whether atheris is installed: ``pip install "gbs-actor[fuzz]"``."""
    return find_spec("atheris") is not None


def run_guided(
    target: Target,
    cases: int,
    seed: int,
    progress: Progress = lambda number: None,
    corpus: Path | None = None,
) -> Report:
    """Run so many cases, until the first finding.

    :param corpus: folder of cases to begin with, where those that reach new code are kept.
    """
    report = Report(target.name, "guided")
    with tempfile.TemporaryDirectory() as folder:
        begin = Path(folder) / "begin"
        found = Path(folder) / "found"
        for each in (begin, found):
            each.mkdir()
        random = case_maker(target, seed)
        for number in range(_FIRST_CASES):
            (begin / str(number)).write_bytes(make_case(target, random))
        kept = begin
        if corpus is not None:
            kept = corpus / target.name
            kept.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "scripts.fuzz.guided",
            target.name,
            f"-runs={cases}",
            f"-seed={seed % 2**31 or 1}",
            f"-max_len={target.max_size}",
            f"-timeout={_CASE_TIMEOUT}",
            f"-rss_limit_mb={_MEMORY_LIMIT}",
            f"-artifact_prefix={found}/",
            "-print_final_stats=0",
            str(kept),
            *([str(begin)] if kept != begin else []),
        ]
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=_ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            last = _follow(process.stderr, report, progress)
        report.seconds = time.perf_counter() - started
        if process.returncode:
            report.findings.append(_finding(target, found, process.returncode, last))
    return report


def _follow(lines: IO[str], report: Report, progress: Progress) -> list[str]:
    """Read what libFuzzer says of its progress; return its last lines."""
    last: list[str] = []
    for line in lines:
        last = [*last[-_LAST_LINES:], line]
        done = _DONE.match(line)
        status = _STATUS.match(line)
        if status is not None:
            report.memory_after = int(status[2]) * 1_048_576
            report.memory_before = report.memory_before or report.memory_after
        found = done or status
        if found is not None:
            progress(int(found[1]) - report.cases)
            report.cases = int(found[1])
    return last


def _finding(target: Target, folder: Path, status: int, last: list[str]) -> Finding:
    output = "".join(last)
    for path in sorted(folder.iterdir()):
        case = path.read_bytes()
        again = run_case(target, case)
        if again is not None:
            return shrunk(target, again)
        return Finding(target.name, case, f"{path.name.split('-')[0]} under atheris", output)
    return Finding(target.name, None, f"atheris has ended with status {status}", output)
