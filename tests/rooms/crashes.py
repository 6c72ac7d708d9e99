"""Crashes of rooms, at chosen steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from gbs_actor.rooms import Tracepoint


class Bug(Exception):
    """What the injected crashes raise."""


@dataclass
class Crashes:
    """Raises at the given steps of the rooms' loops, counted from the start."""

    at: frozenset[int]
    count: int = 0
    raised: int = 0
    tracepoints: list[Tracepoint] = field(default_factory=list)

    def __call__(self, slug: str, tracepoint: Tracepoint) -> None:
        self.count += 1
        self.tracepoints.append(tracepoint)
        if self.count - 1 in self.at:
            self.raised += 1
            raise Bug(f"at {tracepoint}")
