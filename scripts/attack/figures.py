"""What is measured during an attack, and what is wanted of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

P99 = 0.100
"""Seconds that 99 % of honest edits may take at most."""
LONGEST = 0.500
"""Seconds that any honest edit may take at most."""
MEMORY = 400 * 2**20
"""Bytes of the server's resident memory, at most."""
SERVED = 5.0
"""Seconds within which a newcomer has connected, joined and edited."""


@dataclass
class Times:
    """Durations of one kind, by when they began; all in seconds."""

    samples: list[tuple[float, float]] = field(default_factory=list)
    """When it began, and how long it took."""

    def add(self, began: float, ended: float) -> None:
        """Take one."""
        self.samples.append((began, ended - began))

    def within(self, began: float, ended: float) -> list[float]:
        """Return the durations of those that began in a time."""
        return [took for at, took in self.samples if began <= at < ended]


@dataclass
class Measured:
    """One attack, or the time without any. Times are Trio's."""

    began: float = 0.0
    ended: float = 0.0
    """When the attack was over."""
    observed: float = 0.0
    """Until when people went on."""
    acks: Times = field(default_factory=Times)
    """From when an edit was due; one that never was acknowledged: until all was over."""
    deliveries: Times = field(default_factory=Times)
    newcomers: Times = field(default_factory=Times)
    refused: list[float] = field(default_factory=list)
    """When newcomers came who were not served in time."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of losses and refusals."""
    losses: int = 0
    """How often an editor had to connect again."""
    unsaved: list[str] = field(default_factory=list)
    """Acknowledged edits that the server no longer has."""
    memory: int = 0
    """The highest resident memory of the server, in bytes."""
    server_cpu: float = 0.0
    """Seconds of CPU; without PostgreSQL's."""
    attacker_cpu: float = 0.0
    own_cpu: float = 0.0
    log_lines: int = 0
    alive: bool = True
    outage: tuple[float, float] = (0.0, 0.0)
    """While the attack had the database down: from its death until the next one was up."""
    attack: Counter[str] = field(default_factory=Counter)
    """What the attacker saw."""

    def back_to_normal(self) -> float:
        """Return the seconds from the end of the attack until all were served in time.

        That is until the last edit that took longer than :data:`P99`, or the last newcomer
        who was not served; infinite if that was the last one of all.
        """
        late = [at + took for at, took in self.acks.samples if at >= self.ended and took > P99]
        late += [at + SERVED for at in self.refused if at >= self.ended]
        last = max(late, default=self.ended)
        return math.inf if last > self.observed else last - self.ended

    def targets(self) -> dict[str, bool]:
        """Return what was wanted, and whether it was met."""
        down, up = self.outage
        acks = self.acks.within(self.began, self.ended)
        if up:  # no server can be faster than its database
            acks = self.acks.within(self.began, down) + self.acks.within(up, self.ended)
        works = self.alive and bool(acks)
        return {
            f"p99 below {P99 * 1e3:.0f} ms": works and percentile(acks, 0.99) < P99,
            f"maximum below {LONGEST * 1e3:.0f} ms": works and max(acks) < LONGEST,
            f"memory below {MEMORY >> 20} MB": self.memory < MEMORY,
            "every newcomer served": not self.refused and bool(self.newcomers.samples),
            "nothing lost": not self.unsaved and self.alive,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies (nearest rank); NaN for none."""
    if not values:
        return math.nan
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]
