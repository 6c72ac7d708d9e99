"""Logging: one handler for our code and for libraries, secrets masked; text for a terminal.

Also what operators are notified of, see ``OperatorEvents``; the figures of the last minutes, see
``RecentHistogram``; and what the operating system says about this process, see ``process``.
"""

from gbs_actor.observability.log_levels import (
    Level,
    LogLevels,
    LogLevelStatistics,
    TemporaryLevel,
    UnknownLogger,
)
from gbs_actor.observability.logs import AUDIT_LOGGER, configure_logging
from gbs_actor.observability.masking import mask, masked
from gbs_actor.observability.operator_events import (
    EventFilter,
    EventPage,
    LogFields,
    OperatorEvent,
    OperatorEvents,
)
from gbs_actor.observability.process import ProcessStatistics, process_statistics
from gbs_actor.observability.profile import LoopProfile, LoopProfiler, ProfileRunning
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
    "AUDIT_LOGGER",
    "DURATION_BOUNDS",
    "SIZE_BOUNDS",
    "Bucket",
    "Durations",
    "EventFilter",
    "EventPage",
    "HistogramTotals",
    "Level",
    "LogFields",
    "LogLevelStatistics",
    "LogLevels",
    "LoopProfile",
    "LoopProfiler",
    "OperatorEvent",
    "OperatorEvents",
    "ProcessStatistics",
    "ProfileRunning",
    "RecentHistogram",
    "TemporaryLevel",
    "UnknownLogger",
    "configure_logging",
    "mask",
    "masked",
    "process_statistics",
    "visible",
    "visible_lines",
]
