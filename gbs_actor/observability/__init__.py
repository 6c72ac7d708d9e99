"""Logging: one handler for our code and for libraries, secrets masked; text for a terminal.

Also what operators are notified of, see ``OperatorEvents``; the figures of the last minutes, see
``RecentHistogram``; and what the operating system says about this process, see ``process``.
"""

from gbs_actor.observability.logs import configure_logging
from gbs_actor.observability.masking import mask, masked
from gbs_actor.observability.operator_events import (
    EventFilter,
    EventPage,
    LogFields,
    OperatorEvent,
    OperatorEvents,
)
from gbs_actor.observability.process import ProcessStatistics, process_statistics
from gbs_actor.observability.recent_histogram import (
    DURATION_BOUNDS,
    SIZE_BOUNDS,
    Bucket,
    Durations,
    HistogramTotals,
    RecentHistogram,
)
from gbs_actor.observability.terminal import visible, visible_lines

__all__ = [
    "DURATION_BOUNDS",
    "SIZE_BOUNDS",
    "Bucket",
    "Durations",
    "EventFilter",
    "EventPage",
    "HistogramTotals",
    "LogFields",
    "OperatorEvent",
    "OperatorEvents",
    "ProcessStatistics",
    "RecentHistogram",
    "configure_logging",
    "mask",
    "masked",
    "process_statistics",
    "visible",
    "visible_lines",
]
