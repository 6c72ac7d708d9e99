"""``python -m scripts.fuzz [target…] --cases N --seed S``."""

from __future__ import annotations

import argparse
import math
import secrets
import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from scripts.fuzz.running import NAMES, Report, load, replay, run


def main(arguments: list[str] | None = None) -> int:
    """Fuzz, or run saved cases again; return the exit status: 1 for findings."""
    parsed = _parser().parse_args(arguments)
    console = Console()
    if parsed.replay:
        return _replay(parsed.replay, console)
    number = secrets.randbelow(2**31) if parsed.seed is None else parsed.seed
    console.print(f"seed {number}")
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    found = False
    with Progress(*columns, console=console) as progress:
        for name in dict.fromkeys(parsed.targets or NAMES):
            advance = partial(progress.advance, progress.add_task(name, total=parsed.cases))
            report = run(load(name), parsed.cases, number, seconds=parsed.seconds, progress=advance)
            _show(report, console)
            if report.finding is not None:
                found = True
                _save(report, parsed.findings, console)
    return 1 if found else 0


def _replay(paths: list[Path], console: Console) -> int:
    found = False
    for path in paths:
        try:
            report = replay(load(path.stem), path.read_text())
        except (OSError, ValueError) as error:
            console.print(f"[red]{path}[/red]: {error}")
            return 2
        _show(report, console)
        console.print(Text(report.details))
        found |= report.finding is not None
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
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="that each target may take, about"
    )
    parser.add_argument("--seed", type=int, help="the same seed makes the same cases")
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path("fuzz-findings"),
        help="folder where cases that fail are written to",
    )
    parser.add_argument(
        "--replay", type=Path, nargs="+", metavar="FILE", help="run such cases again"
    )
    return parser


def _count(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _show(report: Report, console: Console) -> None:
    rate = report.cases / report.seconds if report.seconds else 0
    console.print(
        f"{report.target}: {report.cases:,} cases in {report.seconds:,.0f} s ({rate:,.0f}/s), "
        f"{'nothing' if report.finding is None else 'something'} found",
        soft_wrap=True,
        highlight=False,
    )


def _save(report: Report, folder: Path, console: Console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.target}.txt"
    path.write_text(f"{report.finding}\n\n{report.details}", errors="backslashreplace")
    console.print(Text(f"  {report.finding}\n  {path}"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
