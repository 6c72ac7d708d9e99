"""What subscribers are sent of a batch, or of what they missed, in whichever form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gbs_actor.rooms.delivery import Format
from gbs_actor.rooms.part_sequence import PartSequence
from gbs_actor.rooms.piece_sequence import PieceSequence
from gbs_actor.rooms.row_sequence import RowSequence

T = TypeVar("T")


class Changed:
    """Changed rows for the single-row form, and the same changes in parts for the batch form.

    :param rows: every row that reads differently.
    :param make_parts: returns the parts; called if somebody needs them.
    :param source: what that is called with.
    """

    __slots__ = ("_make_parts", "_parts", "_rows", "_source")

    def __init__(
        self, rows: RowSequence, make_parts: Callable[[T], PartSequence], source: T
    ) -> None:
        self._rows = rows
        self._make_parts: Callable[[Any], PartSequence] = make_parts
        self._source = source
        self._parts: PartSequence | None = None

    def of(self, form: Format) -> PieceSequence[Any]:
        """Return what subscribers of a format get."""
        if not form.batched:
            return self._rows
        if self._parts is None:
            self._parts = self._make_parts(self._source)
        return self._parts
