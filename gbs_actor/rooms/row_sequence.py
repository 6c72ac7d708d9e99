"""Messages encoded once a format and handed to many subscribers."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gbs_actor.rooms.delivery import EncodedRow, Format
from gbs_actor.rooms.subscriber import Subscriber

log = logging.getLogger(__name__)


class RowSequence:
    """Changed rows in ascending revision, of which every subscriber gets its parts.

    Somebody who is owed answers gets the rows in pieces, with each answer behind the rows
    of its revision; everybody else gets one piece. A piece holds only the last state of
    a row, and is encoded once for all sinks of one format.

    :param rows: ascending by revision; a row may occur several times.
    """

    def __init__(self, rows: Sequence[EncodedRow]) -> None:
        self._rows = rows
        self._pieces: dict[tuple[Format, int, int], Any] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def deliver(self, subscriber: Subscriber, start: int, end: int) -> None:
        """Hand the rows from ``start`` up to, not including, ``end`` to one subscriber."""
        if start >= end:
            return
        form = subscriber.sink.format
        key = (form, start, end)
        piece = self._pieces.get(key)
        if piece is None:
            piece = self._pieces[key] = form.updates(_last_states(self._rows[start:end]))
        deliver(subscriber, piece)

    def first_above(self, revision: int) -> int:
        """Return the position of the first row with a higher revision."""
        return bisect.bisect_right(self._rows, revision, key=lambda row: row.revision)


def _last_states(rows: Sequence[EncodedRow]) -> list[EncodedRow]:
    last: dict[int, EncodedRow] = {}
    for row in rows:
        last.pop(row.id, None)
        last[row.id] = row
    return list(last.values())


def deliver(subscriber: Subscriber, message: Any) -> None:
    """Hand one message to one subscriber; a sink that raises loses its connection."""
    try:
        subscriber.sink.deliver(message)
    except Exception:
        log.exception("a delivery failed; its connection is ended")
        subscriber.sink.abort()


def broadcast(
    subscribers: Iterable[Subscriber],
    encode: Callable[[Format], Any],
    *,
    apart_from: Subscriber | None = None,
) -> None:
    """Hand one message to many, encoded once a format.

    :param encode: from a format to what its sinks deliver.
    """
    encoded: dict[Format, Any] = {}
    for subscriber in subscribers:
        if subscriber is apart_from:
            continue
        form = subscriber.sink.format
        if form not in encoded:
            encoded[form] = encode(form)
        deliver(subscriber, encoded[form])
