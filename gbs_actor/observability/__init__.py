"""Logging: one handler for our code and for libraries, secrets masked; text for a terminal.

``process`` reads what the operating system says about this process.
"""

from gbs_actor.observability.logs import configure_logging
from gbs_actor.observability.masking import mask, masked
from gbs_actor.observability.process import ProcessStatistics, process_statistics
from gbs_actor.observability.terminal import visible, visible_lines

__all__ = [
    "ProcessStatistics",
    "configure_logging",
    "mask",
    "masked",
    "process_statistics",
    "visible",
    "visible_lines",
]
