"""Runs rows against servers, interleaved: all servers of a row one behind the other, by rounds."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scripts.bench.results import Sample
from scripts.bench.rows import Row
from scripts.bench.servers import BARE, OUR_NAME, Servers
from scripts.bench.workloads import Trial

SPARE_DESCRIPTORS = 300
"""Beyond a row's connections: of the server, and of what it stands on."""


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    rows: Sequence[Row]
    servers: Sequence[str]
    """The bare loop only takes part in the rows that it can do."""
    rounds: int
    quick: bool = False

    def turns(self) -> list[tuple[int, Row, str]]:
        """Return round, row and server of each sample, in order.

        The order of the servers changes from round to round, so that none always comes first.
        """
        turns = []
        for number in range(self.rounds):
            start = number % len(self.servers)
            servers = [*self.servers[start:], *self.servers[:start]]
            turns += [
                (number, row, server)
                for row in self.rows
                for server in servers
                if server != BARE or row.with_bare
            ]
        return turns


@dataclass
class Rounds:
    """Carries out a plan.

    :param keep: called with each sample.
    :param announce: called with row and server before each.
    """

    plan: Plan
    servers: Servers
    first_round: int
    keep: Callable[[Sample], None]
    announce: Callable[[Row, str], None] = field(default=lambda _row, _server: None)

    async def run(self) -> None:
        """Take all samples.

        Cancelled, it stops the server that runs; the samples until then are kept.
        """
        for number, row, server in self.plan.turns():
            self.announce(row, server)
            trial = Trial(
                self.servers,
                server,
                alone=row.alone and server in {OUR_NAME, "other"},
                quick=self.plan.quick,
            )
            figures = dict(await row.workload(trial))
            figures |= {"errors": trial.errors, "load_share": trial.load_share}
            self.keep(Sample(row.name, server, self.first_round + number, time.time(), figures))


def raise_descriptor_limit(rows: Sequence[Row]) -> str | None:
    """Raise the limit of open files, which servers inherit, as far as it goes.

    :return: a sentence if that is not enough for a row.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for row in rows:
        needed = row.connections + SPARE_DESCRIPTORS
        if hard != resource.RLIM_INFINITY and hard < needed:
            return (
                f"The row {row.name} needs {needed:,} open files, and the limit is {hard:,}: "
                f"raise it (ulimit -Hn {needed}) or leave the row out (--rows)."
            )
    return None
