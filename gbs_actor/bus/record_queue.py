"""Presence that waits to be sent: of each room and connection only the latest."""

from __future__ import annotations

from gbs_actor.bus.presence import Record, encoded, key_of


class RecordQueue:
    """Records in the order in which they go out.

    One that replaces another goes to the end, so that those of a room stay in the order in which
    they were made. Beyond its limit it drops them all, which is a gap.

    :param limit: records, at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[object, tuple[Record, bytes]] = {}
        self._gap = False
        self.size = 0
        """Bytes of what waits."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, record: Record) -> None:
        """Add a record, in place of an earlier one of the same key."""
        key = key_of(record)
        if key in self._waiting:
            self._pop(key)
        if len(self._waiting) >= self._limit:
            self.drop()
        self._waiting[key] = item = (record, encoded(record))
        self.size += len(item[1])

    def drop(self) -> None:
        """Drop all that waits, and take it for lost."""
        self._gap |= bool(self._waiting)
        self._waiting.clear()
        self.size = 0

    def add_gap(self) -> None:
        """Note that a record was lost before it got here."""
        self._gap = True

    def take_gap(self) -> bool:
        """Return whether anything was lost since this was called last."""
        gap, self._gap = self._gap, False
        return gap

    def take(self, size: int) -> list[tuple[Record, bytes]]:
        """Remove and return the first records, of about so many bytes."""
        taken = []
        while self._waiting and size > 0:
            item = self._pop(next(iter(self._waiting)))
            taken.append(item)
            size -= len(item[1])
        return taken

    def _pop(self, key: object) -> tuple[Record, bytes]:
        item = self._waiting.pop(key)
        self.size -= len(item[1])
        return item
