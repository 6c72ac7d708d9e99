"""``python -m scripts.bench``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import structlog
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gbs_actor.concurrency import exceptions_in
from gbs_actor.store.protocol import StoreError
from scripts.bench.installation import Installation, SetUpFailed, default_folder
from scripts.bench.load_generator import LoadFailed
from scripts.bench.plot import PlotFailed, draw
from scripts.bench.postgres import running_postgres
from scripts.bench.report import markdown_table, terminal_table, warnings_of
from scripts.bench.results import Results, Sample, UnreadableResults, this_machine
from scripts.bench.rounds import Plan, Rounds, raise_descriptor_limit
from scripts.bench.rows import ROWS, Row
from scripts.bench.servers import BARE, OUR_NAME, TITLES, ServerFailed, Servers
from scripts.bench.soak import CLIENTS, Soak, SoakFailed

PEERS = ("node", "python", BARE)
WIDTH = 180
"""Columns of what goes into a file or a pipe."""
FAILURES = (
    *(SetUpFailed, ServerFailed, LoadFailed, PlotFailed, SoakFailed, UnreadableResults),
    StoreError,  # of the embedded PostgreSQL: another benchmark runs in this folder, for instance
)


def main(arguments: list[str] | None = None) -> int:
    """Set up, measure and report; return the exit status."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        return _run(options, console)
    except* FAILURES as failures:
        for failure in exceptions_in(failures):
            console.print(str(failure), style="red", markup=False)
    except* KeyboardInterrupt:
        console.print("Stopped.")
    return 1


def _run(options: argparse.Namespace, console: Console) -> int:
    installation = Installation(options.folder.absolute())
    if options.list:
        for row in ROWS.values():
            sys.stdout.write(f"{row.name:20} {row.title}\n")
        return 0
    if options.soak:
        return trio.run(partial(_soak, installation, options, console))
    if options.from_file:
        results = Results.load(options.from_file)
    else:
        results = trio.run(partial(_measure, installation, options, console))
    _report(results, options, console)
    if options.plot:
        for path in trio.run(partial(draw, results, options.plot, installation, console.print)):
            console.print(f"{path}")
    return 0


async def _measure(
    installation: Installation, options: argparse.Namespace, console: Console
) -> Results:
    rows = [ROWS[name] for name in options.rows or ROWS]
    servers = [OUR_NAME, *(["other"] if options.against else []), *options.peers]
    plan = Plan(rows, servers, options.rounds, options.quick)
    if complaint := raise_descriptor_limit(rows):
        raise SetUpFailed(complaint)
    path = options.json or installation.folder / "results.json"
    results = Results.load(path) if options.append and path.exists() else Results()
    results.quick |= options.quick
    await installation.set_up(servers, console.print)
    results.machine = this_machine() | installation.versions()
    async with running_postgres(installation, options.against, console.print) as postgres:
        with ExitStack() as stack:
            columns = (
                TextColumn("{task.description:36}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            progress = stack.enter_context(
                Progress(*columns, console=console, disable=not console.is_terminal)
            )
            task = progress.add_task("", total=len(plan.turns()))

            def announce(row: Row, server: str) -> None:
                progress.update(task, description=f"{row.name}, {TITLES[server]}")

            def keep(sample: Sample) -> None:
                results.samples.append(sample)
                results.save(path)
                progress.advance(task)

            await Rounds(
                plan,
                Servers(installation, postgres, options.against),
                results.next_round(),
                keep,
                announce,
            ).run()
    console.print(f"{path}")
    return results


async def _soak(installation: Installation, options: argparse.Namespace, console: Console) -> int:
    if complaint := raise_descriptor_limit([ROWS["joins"]]):
        raise SetUpFailed(complaint)
    await installation.set_up([], console.print)
    async with running_postgres(installation, None, console.print) as postgres:
        clients = CLIENTS // 10 if options.quick else CLIENTS
        soak = Soak(Servers(installation, postgres), console.print, clients)
        return 0 if await soak.run(60 * options.soak) else 1


def _report(results: Results, options: argparse.Namespace, console: Console) -> None:
    if options.markdown:
        sys.stdout.write(markdown_table(results, details=options.details))
    else:
        width = None if sys.stdout.isatty() else WIDTH
        Console(highlight=False, width=width).print(
            terminal_table(results, details=options.details)
        )
    for warning in warnings_of(results):
        console.print(warning, style="yellow")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="Measures the server beside Socket.IO on Node and python-socketio, on one "
        "PostgreSQL. The first run installs the peers, compiles the load generator and fills the "
        "database. Let nothing else run meanwhile.",
        epilog=f"Rows: {', '.join(ROWS)}.",
    )
    parser.add_argument(
        "--rows", type=partial(_names, known=ROWS), metavar="NAME,…", help="default: all"
    )
    parser.add_argument("--list", action="store_true", help="the rows, and what they are")
    parser.add_argument("--rounds", type=_count, default=3, help="default: 3")
    parser.add_argument(
        "--peers",
        type=partial(_names, known=PEERS),
        default=PEERS,
        metavar="NAME,…",
        help="node, python, bare (a loop of send); '' for none; default: all",
    )
    parser.add_argument(
        "--against",
        type=_checkout,
        metavar="CHECKOUT",
        help="measure the server of another checkout, too: before and after a change",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the work, to see that everything runs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go")
    parser.add_argument(
        "--append", action="store_true", help="add to the results that are in the file"
    )
    parser.add_argument(
        "--from",
        dest="from_file",
        type=Path,
        metavar="FILE",
        help="measure nothing, report these results",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--details", action="store_true", help="all figures, not only the table's")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="draw the ratios to Node; a PNG beside it"
    )
    parser.add_argument(
        "--soak",
        type=_minutes,
        metavar="MINUTES",
        help="instead: let 2,000 clients come, edit and go, and compare their boards at the end",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=default_folder(),
        help=f"where everything is installed; default: {default_folder()}",
    )
    return parser


def _names(text: str, known: Collection[str]) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number <= 24 * 60:
        raise argparse.ArgumentTypeError("above 0, at most a day")
    return number


def _checkout(text: str) -> Path:
    path = Path(text).absolute()
    if not (path / "gbs_actor" / "cli").is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no checkout of gbs-actor")
    return path


if __name__ == "__main__":
    sys.exit(main())
