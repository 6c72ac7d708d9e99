"""What came of fuzzing one target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.fuzz.findings import Finding

Progress = Callable[[int], None]
"""Told how many cases more have been run."""


@dataclass
class Report:
    """One target, fuzzed in one way."""

    target: str
    engine: str
    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds of the slowest case."""
    memory_before: int = 0
    """Bytes, once everything is loaded."""
    memory_after: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Cases per second."""
        return self.cases / self.seconds if self.seconds else 0.0

    @property
    def growth(self) -> int:
        """Bytes."""
        return self.memory_after - self.memory_before
