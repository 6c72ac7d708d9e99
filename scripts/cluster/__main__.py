"""``python -m scripts.cluster``: faults under load, or figures."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

import structlog
import trio
from rich.console import Console
from rich.table import Table

from scripts.cluster.figures import Figures, measured
from tests.cluster.buses import BUS_KINDS, BusKind
from tests.cluster.campaign import Campaign, Outcome, campaign
from tests.cluster.cluster import running_cluster
from tests.cluster.faults import FAULTS, possible
from tests.e2e.server_process import ROOT
from tests.node_packages import install, node_and_npm

PROGRAMS = ROOT / "tests" / "e2e" / "node"


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign, or measure; return the exit status: 1 where something was lost."""
    options = _parser().parse_args(arguments)
    # Trio takes a SIGINT where it can be taken; so no server is left behind.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    # What the embedded PostgreSQL logs of its end, which is meant.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with _programs() as (node, folder):
        if options.figures:
            figures = trio.run(partial(measured, node, folder, seconds=options.seconds))
            _show_figures(figures, console)
            _write(options.json, [asdict(each) for each in figures])
            return 0
        report = trio.run(partial(_campaign, options, node, folder, console))
    _write(options.json, report)
    return 0


async def _campaign(
    options: argparse.Namespace, node: str, folder: Path, console: Console
) -> dict[str, object]:
    kind: BusKind = options.bus
    async with (
        running_cluster(options.nodes, kind, on_disk=True) as cluster,
        campaign(cluster, node, folder, clients=options.clients, rate=options.rate) as running,
    ):
        faults = possible(cluster, options.faults)
        for turn in range(options.each):
            for fault in faults:
                await running.load.more(options.clients // 4)
                outcome = await running.suffer(fault, options.hold)
                console.print(f"{turn + 1}/{options.each} {_line(outcome)}")
        await running.load.more(options.clients)
        console.print("Verifying")
    console.print(_table(running))
    console.print(f"All kept, and all equal: {running.counts}")
    assert running.counts is not None
    return {
        "nodes": options.nodes,
        "clients": options.clients,
        "bus": kind,
        "outcomes": [asdict(outcome) for outcome in running.outcomes],
        "verified": asdict(running.counts),
    }


def _line(outcome: Outcome) -> str:
    lag = (
        "" if outcome.lag_during is None else f", seen meanwhile within {outcome.lag_during:.2f} s"
    )
    return (
        f"{outcome.fault} ({outcome.node}): {outcome.lasted:.1f} s, recovered in "
        f"{outcome.recovery:.2f} s{lag}, longest pause {outcome.pause:.1f} s, {outcome.edits} edits"
    )


def _table(running: Campaign) -> Table:
    table = Table("fault", "times")
    for column in ("recovery", "seen meanwhile", "seen behind it", "longest pause"):
        table.add_column(f"{column}: median, s", justify="right")
        table.add_column("max, s", justify="right")
    for name in FAULTS:
        found = [outcome for outcome in running.outcomes if outcome.fault == name]
        if not found:
            continue
        cells = [name, str(len(found))]
        for column in ("recovery", "lag_during", "lag", "pause"):
            values = [it[column] for it in map(asdict, found) if it[column] is not None]
            cells += [f"{median(values):.2f}", f"{max(values):.2f}"] if values else ["", ""]
        table.add_row(*cells)
    return table


def _show_figures(figures: list[Figures], console: Console) -> None:
    table = Table(
        "nodes", "bus", "edits/s", "ack p50, ms", "p99, ms", "CPU of the writing node, µs/edit"
    )
    for column in ("of one that follows", "of PostgreSQL", "of Valkey"):
        table.add_column(column, justify="right")
    for each in figures:
        table.add_row(
            str(each.nodes),
            each.bus,
            f"{each.edits_per_second:.0f}",
            f"{each.p50 * 1e3:.1f}",
            f"{each.p99 * 1e3:.1f}",
            *(
                "" if cpu is None else f"{cpu * 1e6:.0f}"
                for cpu in (
                    each.writing_cpu,
                    each.following_cpu,
                    each.postgres_cpu,
                    each.valkey_cpu,
                )
            ),
        )
    console.print(table)


def _write(path: Path | None, content: object) -> None:
    if path is not None:
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _programs() -> Iterator[tuple[str, Path]]:
    """Node.js, and the folder with the programs of stock clients."""
    node, npm = node_and_npm()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
        install(npm, folder)
        yield node, folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.cluster",
        description="Runs several servers on one PostgreSQL behind nginx, lets clients of every "
        "kind edit, and their parts fail; verifies that nothing acknowledged was lost or doubled.",
    )
    parser.add_argument("--nodes", type=_number(1, 8), default=3)
    parser.add_argument("--clients", type=_number(5, 2_000), default=200)
    parser.add_argument("--bus", choices=BUS_KINDS, default="valkey")
    parser.add_argument("--each", type=_number(1, 1_000), default=20, help="times of each fault")
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument(
        "--hold",
        type=float,
        default=60.0,
        help="seconds that a fault lasts, if it is one that does",
    )
    parser.add_argument(
        "--rate", type=float, default=20.0, help="edits per second, of all together"
    )
    parser.add_argument("--json", type=Path, help="where the results are written")
    parser.add_argument("--figures", action="store_true", help="measure instead, without faults")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    return parser


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{least} to {most}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main())
