"""What was measured: as a table, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Final

from rich.table import Table

from scripts.bench.report import number

MILLISECONDS: Final = "ms"
SHARES: Final = {"median": 0.5, "p95": 0.95, "p99": 0.99, "most": 1.0}


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, once or often."""

    title: str
    unit: str
    samples: Sequence[float]

    def at(self, share: float) -> float:
        """Return the least sample that so many of them are not above: the nearest rank."""
        return sorted(self.samples)[max(0, ceil(len(self.samples) * share) - 1)]


@dataclass
class Figures:
    """All figures, in the order in which they were measured."""

    measured: list[Figure] = field(default_factory=list)

    def add(self, title: str, unit: str, samples: Sequence[float]) -> None:
        self.measured.append(Figure(title, unit, samples))

    def table(self) -> Table:
        """Return a table for a terminal. What was measured once has only one number."""
        table = Table("", "", title="the line-up page in Chromium")
        for heading in ("samples", *SHARES):
            table.add_column(heading, justify="right")
        for figure in self.measured:
            shares = list(SHARES.values())[: 1 if len(figure.samples) == 1 else None]
            shown = [number(figure.at(share)) for share in shares]
            table.add_row(figure.title, figure.unit, str(len(figure.samples)), *shown)
        return table

    def json(self) -> str:
        return json.dumps([asdict(figure) for figure in self.measured], indent=1) + "\n"
