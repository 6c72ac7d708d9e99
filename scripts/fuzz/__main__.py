"""``python -m scripts.fuzz [target…] --cases N --seed S``."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from scripts.fuzz import guided_cases
from scripts.fuzz.findings import run_case, target_of
from scripts.fuzz.guided_cases import run_guided
from scripts.fuzz.hypothesis_cases import run_hypothesis
from scripts.fuzz.random_cases import run_random
from scripts.fuzz.report import Report
from scripts.fuzz.target import NAMES, Target, load

Engine = Callable[[Target, int, int, Callable[[int], None]], Report]
ENGINES: Final = ("random", "hypothesis", "guided")


def main(arguments: list[str] | None = None) -> int:
    """Fuzz, or run saved cases again; return the exit status: 1 for findings."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    console = Console()
    if parsed.replay:
        return _replay(parsed.replay, console)
    if parsed.engine == "guided" and not guided_cases.available():
        parser.error('the engine "guided" needs atheris: pip install "gbs-actor[fuzz]"')
    names = list(dict.fromkeys(parsed.targets)) or _all(parsed.engine)
    seed = secrets.randbelow(2**31) if parsed.seed is None else parsed.seed
    console.print(f"seed {seed}, engine {parsed.engine}")
    reports = _fuzz(names, parsed.cases, seed, _engine(parsed), console)
    for report in reports:
        console.print(_summary(report), soft_wrap=True, highlight=False)
    found = [finding for report in reports for finding in report.findings]
    for finding in found:
        path = finding.save(parsed.findings)
        console.print(f"[red]{finding.target}[/red]: {path}\n  ", Text(finding.what), sep="")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.fuzz",
        description="Feeds parts of the server with random and nearly good input.",
        epilog=f"Targets: {', '.join(NAMES)}.",
    )
    parser.add_argument(
        "targets", nargs="*", choices=[[], *NAMES], metavar="target", help="all by default"
    )
    parser.add_argument("--cases", type=_count, default=20_000, help="of each target")
    parser.add_argument("--seed", type=int, help="the same seed makes the same cases")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="random",
        help="who makes the cases: random bytes, Hypothesis, or atheris, which is guided by "
        "the code that they reach",
    )
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path("fuzz-findings"),
        help="folder where cases that have found something are written to",
    )
    parser.add_argument(
        "--corpus", type=Path, help="folder where the engine guided keeps cases that reach new code"
    )
    parser.add_argument(
        "--replay", type=Path, nargs="+", metavar="FILE", help="run saved cases again, and show why"
    )
    return parser


def _count(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _all(engine: str) -> list[str]:
    return [name for name in NAMES if engine != "guided" or load(name).guided]


def _engine(parsed: argparse.Namespace) -> Engine:
    if parsed.engine == "guided":
        return partial(run_guided, corpus=parsed.corpus)
    return run_random if parsed.engine == "random" else run_hypothesis


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


def _fuzz(
    names: list[str], cases: int, seed: int, engine: Engine, console: Console
) -> list[Report]:
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    reports = []
    with Progress(*columns, console=console) as progress:
        for name in names:
            task = progress.add_task(name, total=cases)
            reports.append(engine(load(name), cases, seed, partial(progress.advance, task)))
    return reports


def _summary(report: Report) -> str:
    slowest = f", slowest {report.slowest * 1_000:,.0f} ms" if report.slowest else ""
    return (
        f"{report.target} ({report.engine}): {report.cases:,} cases in {report.seconds:,.0f} s "
        f"({report.rate:,.0f}/s){slowest}, memory {report.memory_before / 1e6:,.0f} MB, then "
        f"{report.memory_after / 1e6:,.0f} MB, {len(report.findings) or 'no'} findings"
    )


def _replay(paths: list[Path], console: Console) -> int:
    failed = False
    for path in paths:
        try:
            case = path.read_bytes()
            name = target_of(path)
        except (OSError, ValueError) as error:
            console.print(f"[red]{path}[/red]: {error}")
            return 2
        finding = run_case(load(name), case)
        if finding is None:
            console.print(f"{path}: nothing is found any more")
        else:
            failed = True
            console.print(Text(f"{path}: {finding.what}\n{finding.details}"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
