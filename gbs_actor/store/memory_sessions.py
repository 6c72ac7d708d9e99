"""The locations of recoverable sessions in a memory store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import trio

from gbs_actor.store.protocol import SessionRecord


@dataclass(frozen=True, slots=True)
class _StoredSession:
    """What is stored of a session, and the Trio time when it was."""

    record: SessionRecord
    at: float


class MemorySessions:
    """Does what :class:`~gbs_actor.store.protocol.Store` has for session locations, in one step."""

    def __init__(self) -> None:
        self._stored: dict[str, _StoredSession] = {}

    def update(self, records: Mapping[str, SessionRecord]) -> set[str]:
        """Store records, and return the sessions that have a higher generation."""
        refused = self.taken_over({sid: record.generation for sid, record in records.items()})
        for sid, record in records.items():
            if sid in refused:
                continue
            if record == SessionRecord(None):
                self._stored.pop(sid, None)
            else:
                self._stored[sid] = _StoredSession(record, trio.current_time())
        return refused

    def find(self, sid: str) -> SessionRecord:
        """Return what is stored of a session."""
        stored = self._stored.get(sid)
        return SessionRecord(None) if stored is None else stored.record

    def take_over(self, sid: str) -> SessionRecord:
        """Raise the generation of a session."""
        former = self.find(sid)
        record = replace(former, generation=former.generation + 1)
        self._stored[sid] = _StoredSession(record, trio.current_time())
        return record

    def taken_over(self, generations: Mapping[str, int]) -> set[str]:
        """Return those of the sessions that have a higher generation."""
        return {
            sid for sid, generation in generations.items() if self.find(sid).generation > generation
        }

    def prune(self, age: float) -> int:
        """Remove what was stored longer ago than so many seconds; return how much."""
        limit = trio.current_time() - age
        old = [sid for sid, stored in self._stored.items() if stored.at < limit]
        for sid in old:
            del self._stored[sid]
        return len(old)
