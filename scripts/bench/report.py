"""Tables of results: for a terminal, and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from scripts.bench.results import Ratio, Results
from scripts.bench.rows import FIGURES, ROWS, Row
from scripts.bench.servers import OUR_NAME, TITLES


@dataclass(frozen=True)
class Line:
    """One figure of one row."""

    row: Row
    figure: str
    medians: dict[str, float]
    """By server."""
    ratios: dict[str, Ratio]
    """Ours ÷ theirs, by peer."""

    @property
    def title(self) -> str:
        """Row, figure and unit."""
        figure = FIGURES[self.figure]
        return f"{self.row.title}: {figure.title}" + (f", {figure.unit}" if figure.unit else "")


def lines_of(results: Results, *, details: bool = False) -> Iterator[Line]:
    """Yield what was measured, in the order of the table.

    :param details: all figures, not only those that the rows put in front.
    """
    for row in ROWS.values():
        measured = results.figures(row.name)
        for figure in measured if details else row.headlines:
            medians, ratios = {}, {}
            for server in results.servers(row.name):
                median = results.median(row.name, server, figure)
                if median is not None:
                    medians[server] = median
                ratio = results.ratio(row.name, figure, OUR_NAME, server)
                if ratio is not None and server != OUR_NAME:
                    ratios[server] = ratio
            if medians:
                yield Line(row, figure, medians, ratios)


def number(value: float | None) -> str:
    """Return a figure with about three digits; nothing for ``None``."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _in_order(results: Results) -> list[str]:
    present = results.servers()
    return [server for server in TITLES if server in present]


def _headings(servers: Sequence[str]) -> list[str]:
    peers = [server for server in servers if server != OUR_NAME]
    return [*(TITLES[server] for server in servers), *(f"÷ {TITLES[peer]}" for peer in peers)]


def _cells(line: Line, servers: Sequence[str]) -> list[str]:
    peers = [server for server in servers if server != OUR_NAME]
    ratios = (line.ratios.get(peer) for peer in peers)
    return [
        *(number(line.medians.get(server)) for server in servers),
        *("" if ratio is None else f"{ratio.median:.2f}" for ratio in ratios),
    ]


def terminal_table(results: Results, *, details: bool = False) -> Table:
    """Return a table of medians and ratios; green where ours is better than the peer."""
    servers = _in_order(results)
    peers = [server for server in servers if server != OUR_NAME]
    table = Table(title="medians, and ours ÷ theirs (median of the rounds' ratios)")
    table.add_column("")
    for heading in _headings(servers):
        table.add_column(heading, justify="right")
    for line in lines_of(results, details=details):
        cells = _cells(line, servers)
        for index, peer in enumerate(peers):
            if (ratio := line.ratios.get(peer)) is not None:
                better = (ratio.median >= 1) == FIGURES[line.figure].more_is_better
                at = len(servers) + index
                cells[at] = f"[{'green' if better else 'red'}]{cells[at]}[/]"
        table.add_row(line.title, *cells)
    return table


def markdown_table(results: Results, *, details: bool = False) -> str:
    """Return the same as Markdown."""
    servers = _in_order(results)
    headings = _headings(servers)
    rows = ["| | " + " | ".join(headings) + " |", "|---" + "|---:" * len(headings) + "|"]
    rows += [
        f"| {line.title} | " + " | ".join(_cells(line, servers)) + " |"
        for line in lines_of(results, details=details)
    ]
    return "\n".join(rows) + "\n"


def warnings_of(results: Results) -> Iterator[str]:
    """Yield a sentence for everything that makes a figure doubtful."""
    if results.quick:
        yield "A tenth of the work (--quick): the figures show only that everything runs."
    for row in ROWS:
        for server in results.servers(row):
            errors = sum(results.rounds(row, server, "errors").values())
            if errors:
                yield f"{row}, {TITLES[server]}: {errors:.0f} errors."
            share = results.median(row, server, "load_share")
            if share is not None and share > 0.9:
                yield f"{row}, {TITLES[server]}: the load generator was the limit ({share:.0%})."
