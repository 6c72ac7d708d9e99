"""Changed rows, encoded once per format and shared by many subscribers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gbs_actor.rooms.delivery import Format
from gbs_actor.rooms.encoded import EncodedRow
from gbs_actor.rooms.piece_sequence import PieceSequence

_LOOKED_UP_PER_UNIT = 8
"""Rows looked at for the price of one encoded."""


@dataclass(slots=True)
class _Encoded:
    """What was encoded in one format."""

    updates: dict[int, Any] = field(default_factory=dict)
    """By position."""
    pieces: dict[tuple[int, int], Any] = field(default_factory=dict)
    """By start and end."""


class RowSequence(PieceSequence[EncodedRow]):
    """Changed rows, for subscribers in the single-row form: a piece is a bundle of updates.

    Each row is encoded once per format, whatever pieces it is in.

    :param rows: ascending by revision; a row may occur several times.
    """

    def __init__(self, rows: Sequence[EncodedRow]) -> None:
        super().__init__(rows)
        self._repeats = len({row.id for row in rows}) < len(rows)
        """Whether a row occurs several times."""
        self._formats: defaultdict[Format, _Encoded] = defaultdict(_Encoded)

    def piece(self, form: Format, start: int, end: int) -> Any:
        """See :class:`PieceSequence`."""
        pieces = self._formats[form].pieces
        piece = pieces.get((start, end))
        if piece is None and not self._repeats:
            whole = pieces.get((0, len(self._items)))
            if whole is not None:
                piece = pieces[start, end] = form.cut(whole, start, end)
        return piece

    def _build(self, form: Format, start: int, end: int) -> Iterator[int]:
        encoded = self._formats[form]
        if start == 0 and not self._repeats:
            end = len(self)  # the first of several pieces: all of them are cut out of the whole
        updates = encoded.updates
        positions: Iterable[int] = range(start, end)
        if self._repeats:
            last: dict[int, int] = {}
            for position in positions:
                row_id = self._items[position].id
                last.pop(row_id, None)
                last[row_id] = position
                if position % _LOOKED_UP_PER_UNIT == 0:
                    yield 1
            positions = last.values()
        for position in positions:
            if position not in updates:
                updates[position] = form.update(self._items[position])
                yield 1
        yield (end - start) // _LOOKED_UP_PER_UNIT
        chosen = [updates[position] for position in positions]
        encoded.pieces[start, end] = chosen[0] if len(chosen) == 1 else form.bundle(chosen)
