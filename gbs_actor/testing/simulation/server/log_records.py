"""What a simulated server logs at WARNING and above, and what explains it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from structlog.testing import capture_logs

from gbs_actor.testing.simulation.history import Cause, Disturbed, History, Violated

_FAILURES: Final = ("crashed: ", "commit: ", "read: ", "outage")
"""What counters of faults begin with that are errors."""
_STRANGER: Final = "user 999 "
_CAUSES: Final[Mapping[str, frozenset[Cause]]] = {
    r"user \d+ (exceeds|has as many connections)": frozenset({Cause.LOAD}),
    r"room .* has as many commands queued": frozenset({Cause.LOAD}),
    r"room .*: (another writer|stale)": frozenset({Cause.STALE, Cause.STORE, Cause.KILL}),
    r"room .*: the outcome": frozenset({Cause.STORE, Cause.CRASH, Cause.STOP, Cause.KILL}),
    r".*audit records wait": frozenset({Cause.STORE}),
    r"roles stay as they are": frozenset({Cause.STORE}),
    r"the session of .* \((FORBIDDEN|TOKEN_EXPIRED)": frozenset({Cause.IDENTITY}),
    r"the session of .* \(STORE_UNAVAILABLE": frozenset({Cause.STORE}),
    r"the session of .* \(ROOM_(RESTARTED|UNAVAILABLE)": frozenset({Cause.CRASH, Cause.STOP}),
    r"the session of .* \(ROOM_BUSY": frozenset({Cause.LOAD, Cause.STALE}),
    r"the session of .* \(RATE_LIMITED": frozenset({Cause.LOAD}),
    r"the session of .*: ping timeout": frozenset({Cause.NETWORK}),
}
"""What a warning is for, by how it begins; one that is not here may be for any cause."""
_VIOLATION: Final = re.compile(r"the session of .*: parse error")


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
        events = [moment.event for moment in history.moments]
        causes = {each.cause for each in events if isinstance(each, Disturbed)}
        violated = any(isinstance(each, Violated) for each in events)

        def is_explained(level: str, message: str) -> bool:
            if level != "WARNING":
                return failed
            if _VIOLATION.match(message):
                return violated or _STRANGER in message
            for pattern, explaining in _CAUSES.items():
                if re.match(pattern, message):
                    return bool(explaining & causes) or _STRANGER in message
            return history.delayed or bool(causes)  # a command was slow, say

        return [
            f"{count} log records {level} {message!r}"
            for (level, message), count in self.records.items()
            if not is_explained(level, message)
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
            with capture_logs():  # the audit's, which is logged by structlog
                yield
        finally:
            for each, (level, propagate) in zip(changed, before, strict=True):
                each.removeHandler(self)
                each.setLevel(level)
                each.propagate = propagate
