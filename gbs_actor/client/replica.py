"""The client's copy of a retreat's list."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gbs_actor.contract.batch_form import GroupUpdate, LineupsUpdate
from gbs_actor.lineup.records import Row
from gbs_actor.lineup.row import sort_key


class Replica:
    """Rows merged by id, as a line-up page keeps them.

    Each row of an update or a join replaces the older one, unconditionally, as in the page: the
    server guarantees the order. :attr:`backward_merges` counts violations of it. The row of an
    answer may be of another retreat, or older than the list, if it was given outside the room.

    The values of an updated group go to every row with its number, and leave the row's revision
    as it is: a base revision must not hide what happened to the row's own fields.
    """

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._sorted: tuple[Row, ...] | None = ()
        self._revision = 0
        self._since = 0
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
    def since(self) -> int:
        """The highest revision of an update or a join: what the next join may ask from."""
        return self._since

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
        self._revision = self._since = 0
        self._epoch = None

    def replace(self, rows: Sequence[Row], revision: int, epoch: str | None) -> None:
        """Replace everything by a full list."""
        self._rows = {row.id: row for row in rows}
        self._sorted = None
        self._revision = self._since = revision
        self._epoch = epoch

    def merge(self, rows: Sequence[Row], revision: int = 0) -> None:
        """Merge rows of an update or a join; everything up to ``revision`` has arrived."""
        for row in rows:
            former = self._rows.get(row.id)
            if former is not None and former.revision > row.revision:
                self._backward_merges += 1
            self._rows[row.id] = row
            revision = max(revision, row.revision)
        if rows:
            self._sorted = None
        self._revision = max(self._revision, revision)
        self._since = max(self._since, revision)

    def apply(self, update: LineupsUpdate) -> list[Row]:
        """Apply an update in the batch form; return the rows that read differently now."""
        before = self._rows.copy()
        self.merge(update.rows, update.revision)
        for row_id in update.removed:
            self._rows.pop(row_id, None)
        groups = {group.gbs_number: group for group in update.groups}
        changed = []
        for row in [*self._rows.values()]:
            group = None if row.gbs_number is None else groups.get(row.gbs_number)
            if group is not None:
                row = self._rows[row.id] = _with_group(row, group)  # noqa: PLW2901
            if row is not before.get(row.id) and row != before.get(row.id):
                changed.append(row)
        self._sorted = None
        return changed

    def merge_answer(self, row: Row, revision: int | None) -> None:
        """Merge the row of an answer, unless it is not in the list or there is a newer one.

        :param revision: the answer's: everything up to it has arrived. ``None``: it was given
            outside the room, or is an error.
        """
        former = self._rows.get(row.id)
        if former is not None and former.revision <= row.revision:
            self._rows[row.id] = row
            self._sorted = None
        elif former is not None and revision is not None:
            self._backward_merges += 1
        self.note_revision(revision)

    def note_revision(self, revision: int | None) -> None:
        """Note the revision of an answer; ``None``: it was given outside the room."""
        self._revision = max(self._revision, revision or 0)


def _with_group(row: Row, group: GroupUpdate) -> Row:
    return replace(
        row,
        gbs_memo=group.gbs_memo,
        total_count=group.total_count,
        male_count=group.male_count,
        female_count=group.female_count,
        full_attendance_count=group.full_attendance_count,
        partial_attendance_count=group.partial_attendance_count,
    )
