"""What a simulated server logs at WARNING and above, and what explains it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from gbs_actor.testing.simulation.history import Disturbed, History

_FAILURES: Final = ("crashed: ", "commit: ", "read: ", "outage")
"""What counters of faults begin with that are errors."""
_STRANGERS: Final = "stranger: "
"""What counters of strangers begin with, whose errors are warned of."""


class LogRecords(logging.Handler):
    """Keeps log records, by what they are about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: Counter[tuple[str, str]] = Counter()
        """By level and message, without its arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        message = record.getMessage() if record.msg == "%s" else str(record.msg)
        self.records[record.levelname, message] += 1

    def problems(self, history: History, counters: Mapping[str, int]) -> list[str]:
        """Return what is logged, and follows from no fault that was injected."""
        failed = any(name.startswith(_FAILURES) for name in counters)
        disturbed = (
            history.delayed  # which makes commands slow
            or any(name.startswith(_STRANGERS) for name in counters)
            or any(isinstance(moment.event, Disturbed) for moment in history.moments)
        )
        return [
            f"{count} log records {level} {message!r}"
            for (level, message), count in self.records.items()
            if not (disturbed if level == "WARNING" else failed)
        ]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is logged within the block, in place of all else that is done with it."""
        changed = [logging.getLogger(name) for name in ("gbs_actor", "hypercorn", "quart")]
        before = [(each.level, each.propagate) for each in changed]
        for each in changed:
            each.addHandler(self)
            each.setLevel(logging.WARNING)
            each.propagate = False
        try:
            yield
        finally:
            for each, (level, propagate) in zip(changed, before, strict=True):
                each.removeHandler(self)
                each.setLevel(level)
                each.propagate = propagate
