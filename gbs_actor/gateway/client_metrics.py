"""What pages have reported of themselves, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add
from typing import Final

from gbs_actor.contract.client_metrics import BOUNDS, ClientMetrics, HistogramReport
from gbs_actor.observability import HistogramTotals

_SECONDS: Final = tuple(bound / 1_000 for bound in BOUNDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetricsStatistics:
    """The reports of all pages since the server was started."""

    reports: int
    seconds: float
    """That the reports are about, of all pages together."""
    attempts: int
    """Connections that pages tried to open."""
    successes: int
    reconnects: int
    answers: HistogramTotals
    """From the emit of a command to its answer, in seconds."""
    screens: HistogramTotals
    """From an edit until a screen showed it, in seconds."""


class ClientMetricsTotals:
    """Adds reports up: as many figures as one report has, however many there are."""

    def __init__(self) -> None:
        self._reports = self._attempts = self._successes = self._reconnects = 0
        self._seconds = 0.0
        self._answers = _Total()
        self._screens = _Total()

    def add(self, report: ClientMetrics) -> None:
        """Add a report."""
        self._reports += 1
        self._seconds += report.seconds
        self._attempts += report.attempts
        self._successes += report.successes
        self._reconnects += report.reconnects
        self._answers.add(report.answers)
        self._screens.add(report.screens)

    def statistics(self) -> ClientMetricsStatistics:
        """Return a copy; never blocks."""
        return ClientMetricsStatistics(
            reports=self._reports,
            seconds=self._seconds,
            attempts=self._attempts,
            successes=self._successes,
            reconnects=self._reconnects,
            answers=self._answers.totals(),
            screens=self._screens.totals(),
        )


class _Total:
    def __init__(self) -> None:
        self._counts: Sequence[int] = (0,) * (len(BOUNDS) + 1)
        self._milliseconds = 0.0

    def add(self, times: HistogramReport) -> None:
        self._counts = tuple(map(add, self._counts, times.counts))
        self._milliseconds += times.sum

    def totals(self) -> HistogramTotals:
        return HistogramTotals(_SECONDS, self._counts, self._milliseconds / 1_000)
