"""Changed rows, encoded once a format and handed to many subscribers."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Sequence
from typing import Any

from gbs_actor.rooms.delivery import EncodedRow, Format
from gbs_actor.rooms.subscriber import Subscriber

log = logging.getLogger(__name__)


class RowSequence:
    """Changed rows in ascending revision, of which every subscriber gets its parts.

    Somebody who is owed answers gets the rows in pieces, with each answer behind the rows
    of its revision; everybody else gets one piece. A piece holds only the last state of
    a row. Each row is encoded once a format, and so is each piece.

    :param rows: ascending by revision; a row may occur several times.
    """

    def __init__(self, rows: Sequence[EncodedRow]) -> None:
        self._rows = rows
        self._updates: dict[tuple[Format, int], Any] = {}
        self._pieces: dict[tuple[Format, int, int], Any] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def deliver(self, subscriber: Subscriber, start: int, end: int) -> int:
        """Hand the rows from ``start`` up to, not including, ``end`` to one subscriber.

        :returns: how many rows had to be put together for it: a measure of the work.
        """
        if start >= end:
            return 0
        form = subscriber.sink.format
        key = (form, start, end)
        built = 0
        if key not in self._pieces:
            updates = [self._update(form, position) for position in self._last(start, end)]
            self._pieces[key] = updates[0] if len(updates) == 1 else form.bundle(updates)
            built = len(updates)
        deliver(subscriber, self._pieces[key])
        return built

    def _update(self, form: Format, position: int) -> Any:
        update = self._updates.get((form, position))
        if update is None:
            update = self._updates[form, position] = form.update(self._rows[position])
        return update

    def _last(self, start: int, end: int) -> list[int]:
        """Return the positions of each row's last state within a piece, ascending."""
        last: dict[int, int] = {}
        for position in range(start, end):
            row_id = self._rows[position].id
            last.pop(row_id, None)
            last[row_id] = position
        return list(last.values())

    def first_above(self, revision: int) -> int:
        """Return the position of the first row with a higher revision."""
        return bisect.bisect_right(self._rows, revision, key=lambda row: row.revision)


def deliver(subscriber: Subscriber, message: Any) -> None:
    """Hand one message to one subscriber; a sink that raises loses its connection."""
    try:
        subscriber.sink.deliver(message)
    except Exception:
        log.exception("a delivery failed; its connection is ended")
        subscriber.sink.abort()
