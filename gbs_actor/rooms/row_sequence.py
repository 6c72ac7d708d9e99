"""Changed rows, encoded once per format and shared by many subscribers."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gbs_actor.rooms.delivery import EncodedRow, Format
from gbs_actor.rooms.work_budget import WorkBudget

_LOOKED_UP_PER_UNIT = 8
"""Rows looked at for the price of one encoded."""


@dataclass(slots=True)
class _Encoded:
    """What was encoded in one format."""

    updates: dict[int, Any] = field(default_factory=dict)
    """By position."""
    pieces: dict[tuple[int, int], Any] = field(default_factory=dict)
    """By start and end."""


class RowSequence:
    """Changed rows in ascending revision, of which each subscriber gets one or more pieces.

    Whoever has replies pending gets the rows in pieces, each reply behind the rows of its
    revision; everybody else gets one piece. A piece holds only the last state of a row. It
    is built when the first subscriber of a format needs it, and shared by all of that
    format; so is each row in it.

    :param rows: ascending by revision; a row may occur several times.
    """

    def __init__(self, rows: Sequence[EncodedRow]) -> None:
        self._rows = rows
        self._repeats = len({row.id for row in rows}) < len(rows)
        """Whether a row occurs several times."""
        self._formats: defaultdict[Format, _Encoded] = defaultdict(_Encoded)

    def __len__(self) -> int:
        return len(self._rows)

    def piece(self, form: Format, start: int, end: int) -> Any:
        """Return the message with the rows from ``start`` up to, not including, ``end``.

        ``None`` if it has to be built first, by :meth:`build` or :meth:`build_at_once`.
        """
        pieces = self._formats[form].pieces
        piece = pieces.get((start, end))
        if piece is None and not self._repeats:
            whole = pieces.get((0, len(self._rows)))
            if whole is not None:
                piece = pieces[start, end] = form.cut(whole, start, end)
        return piece

    async def build(self, form: Format, start: int, end: int, budget: WorkBudget) -> Any:
        """Build a piece of one or more rows; other tasks run in between."""
        for work in self._build(form, start, end):
            await budget.spend(work)
        return self.piece(form, start, end)

    def build_at_once(self, form: Format, start: int, end: int) -> Any:
        """Return a piece of one or more rows; build it if need be, without a checkpoint."""
        piece = self.piece(form, start, end)
        if piece is not None:
            return piece
        for _ in self._build(form, start, end):
            pass
        return self.piece(form, start, end)

    def first_above(self, revision: int) -> int:
        """Return the position of the first row with a higher revision."""
        if not self._rows or self._rows[0].revision > revision:
            return 0
        return bisect.bisect_right(self._rows, revision, key=lambda row: row.revision)

    def _build(self, form: Format, start: int, end: int) -> Iterator[int]:
        """Build a piece; yield the units of work done in between."""
        encoded = self._formats[form]
        if start == 0 and not self._repeats:
            end = len(self)  # the first of several pieces: all of them are cut out of the whole
        updates = encoded.updates
        positions: Iterable[int] = range(start, end)
        if self._repeats:
            last: dict[int, int] = {}
            for position in positions:
                row_id = self._rows[position].id
                last.pop(row_id, None)
                last[row_id] = position
                if position % _LOOKED_UP_PER_UNIT == 0:
                    yield 1
            positions = last.values()
        for position in positions:
            if position not in updates:
                updates[position] = form.update(self._rows[position])
                yield 1
        yield (end - start) // _LOOKED_UP_PER_UNIT
        chosen = [updates[position] for position in positions]
        encoded.pieces[start, end] = chosen[0] if len(chosen) == 1 else form.bundle(chosen)
