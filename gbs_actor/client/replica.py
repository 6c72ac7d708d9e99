"""The client's copy of a retreat's list."""

from __future__ import annotations

from collections.abc import Sequence

from gbs_actor.lineup.records import Row
from gbs_actor.lineup.row import sort_key


class Replica:
    """Rows merged by id, as a line-up page keeps them.

    Each row that arrives replaces the older one, unconditionally, as in the page: the server
    guarantees the order. :attr:`backward_merges` counts violations of it.
    """

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._sorted: tuple[Row, ...] | None = ()
        self._revision = 0
        self._epoch: str | None = None
        self._backward_merges = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in list order."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._rows.values(), key=sort_key))
        return self._sorted

    @property
    def revision(self) -> int:
        """The highest revision seen; everything up to it has arrived."""
        return self._revision

    @property
    def epoch(self) -> str | None:
        """The epoch of :attr:`revision`; ``None`` before the first list."""
        return self._epoch

    @property
    def backward_merges(self) -> int:
        """How often a row arrived in an older revision than before."""
        return self._backward_merges

    def get(self, row_id: int) -> Row | None:
        """Return the row with this id, if there is one."""
        return self._rows.get(row_id)

    def clear(self) -> None:
        """Remove everything: the retreat was left."""
        self._rows.clear()
        self._sorted = ()
        self._revision = 0
        self._epoch = None

    def replace(self, rows: Sequence[Row], revision: int, epoch: str | None) -> None:
        """Replace everything by a full list."""
        self._rows = {row.id: row for row in rows}
        self._sorted = None
        self._revision = revision
        self._epoch = epoch

    def merge(self, rows: Sequence[Row], revision: int = 0) -> None:
        """Merge the newer state of some rows; everything up to ``revision`` has arrived."""
        for row in rows:
            former = self._rows.get(row.id)
            if former is not None and former.revision > row.revision:
                self._backward_merges += 1
            self._rows[row.id] = row
            self._revision = max(self._revision, row.revision)
        if rows:
            self._sorted = None
        self._revision = max(self._revision, revision)
