"""What was measured: samples, and their medians and ratios."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self


class UnreadableResults(Exception):
    """A file holds no results; one sentence."""


@dataclass(frozen=True)
class Sample:
    """One row against one server, once."""

    row: str
    server: str
    round: int
    """Servers are compared within a round only."""
    at: float
    """Seconds since 1970."""
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Ratio:
    """A figure of one server, divided by that of another one, over some rounds."""

    median: float
    lowest: float
    highest: float
    rounds: int


@dataclass
class Results:
    """All samples, and the machine that they were taken on."""

    machine: dict[str, str] = field(default_factory=dict)
    quick: bool = False
    """Whether any sample is of a tenth of the work, which shows only that all of it runs."""
    samples: list[Sample] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that :meth:`save` wrote.

        :raises UnreadableResults: it is missing or something else.
        """
        try:
            read = json.loads(path.read_text())
            samples = [Sample(**sample) for sample in read["samples"]]
            return cls(read["machine"], read["quick"], samples)
        except OSError as error:
            raise UnreadableResults(f"{path} cannot be read ({error.strerror}).") from None
        except (ValueError, TypeError, KeyError):
            raise UnreadableResults(f"{path} holds no results of this benchmark.") from None

    def save(self, path: Path) -> None:
        """Write all of it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def next_round(self) -> int:
        """Return the number of the round that comes next."""
        return 1 + max((sample.round for sample in self.samples), default=0)

    def servers(self, row: str | None = None) -> list[str]:
        """Return the servers that there are samples of."""
        return list(
            dict.fromkeys(
                sample.server for sample in self.samples if row is None or sample.row == row
            )
        )

    def rounds(self, row: str, server: str, figure: str) -> dict[int, float]:
        """Return a figure of each round; the last sample of a round counts."""
        return {
            sample.round: sample.figures[figure]
            for sample in self.samples
            if (sample.row, sample.server) == (row, server) and figure in sample.figures
        }

    def figures(self, row: str) -> list[str]:
        """Return the names of all figures of a row."""
        names: Iterable[str] = (
            name for sample in self.samples if sample.row == row for name in sample.figures
        )
        return list(dict.fromkeys(names))

    def median(self, row: str, server: str, figure: str) -> float | None:
        """Return the median of all rounds; ``None`` without any."""
        values = self.rounds(row, server, figure).values()
        return statistics.median(values) if values else None

    def ratio(self, row: str, figure: str, server: str, peer: str) -> Ratio | None:
        """Divide a server's figure by a peer's, round by round.

        The median of the ratios, not the ratio of the medians: a machine that is slow for one
        round slows both servers.
        """
        own, theirs = self.rounds(row, server, figure), self.rounds(row, peer, figure)
        ratios = [
            value / theirs[number] for number, value in own.items() if theirs.get(number, 0) > 0
        ]
        if not ratios:
            return None
        return Ratio(statistics.median(ratios), min(ratios), max(ratios), len(ratios))


def this_machine() -> dict[str, str]:
    """Describe the machine and its Python."""
    model = platform.processor()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = sum(line.startswith("processor") for line in _lines("/proc/cpuinfo"))
    return {
        "cpu": f"{model}, {cores} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
