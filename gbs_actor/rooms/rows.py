"""A board's rows as JSON, each encoded once."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import trio
from msgspec.structs import replace

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change
from gbs_actor.rooms.delivery import Snapshot
from gbs_actor.rooms.encoded import EncodedGroup, EncodedRow, Part
from gbs_actor.rooms.part_sequence import PartSequence
from gbs_actor.rooms.recent_changes import RecentChanges
from gbs_actor.rooms.row_sequence import RowSequence

_KEPT_PARTS = 8
"""Partial snapshots kept for the next to ask, and sequences of changed rows: after a network
failure many clients come back that were sent the same last."""


class EncodedRows:
    """A board together with the JSON of its rows.

    Rows are encoded when they are sent. Joins and reads between two changes cost one
    encoding in all.

    :param board: the committed state; :meth:`apply` moves it on.
    :param recent: which of its revisions are recent.
    """

    def __init__(self, board: Board, recent: RecentChanges) -> None:
        self.board = board
        self._recent = recent
        recent.reached(board.revision, trio.current_time())
        self._encoded: dict[int, EncodedRow] = {}
        self._full: Snapshot | None = None
        self._parts: dict[int, Snapshot] = {}
        self._changed: dict[int, RowSequence] = {}
        self._changed_parts: dict[int, PartSequence] = {}

    def row(self, registration_id: int) -> EncodedRow | None:
        """Return the row as it is, or ``None`` where there is no such registration."""
        encoded = self._encoded.get(registration_id)
        if encoded is None:
            row = self.board.row(registration_id)
            if row is None:
                return None
            encoded = self._encoded[registration_id] = EncodedRow.of(row)
        return encoded

    def apply(self, change: Change) -> tuple[EncodedRow, ...]:
        """Apply a committed change to the board; return the rows it changed."""
        self.board.apply(change)
        self._full = None
        self._parts.clear()
        self._changed.clear()
        self._changed_parts.clear()
        self._recent.reached(change.revision, trio.current_time())
        changed = tuple(EncodedRow.of(row) for row in change.rows)
        for encoded in changed:
            self._encoded[encoded.id] = encoded
        return changed

    def newer_than(self, revision: int) -> list[EncodedRow]:
        """Return the rows with a higher revision, ascending by revision."""
        rows = (self._row(row_id) for row_id in self.board.ordered_ids())
        return sorted((row for row in rows if row.revision > revision), key=lambda r: r.revision)

    def changed_after(self, revision: int) -> RowSequence:
        """Return the rows with a higher revision; the same object for all who ask for it."""
        changed = self._changed.get(revision)
        if changed is None:
            _make_room(self._changed)
            changed = self._changed[revision] = RowSequence(self.newer_than(revision))
        return changed

    def parts_changed_after(self, revision: int) -> PartSequence:
        """Return the same for the batch form; the same object for all who ask for it.

        A row is in it if its own fields have a higher revision, a group if its values have.
        """
        changed = self._changed_parts.get(revision)
        if changed is None:
            _make_room(self._changed_parts)
            changed = self._changed_parts[revision] = PartSequence(self._newer_parts(revision))
        return changed

    def changed_lately(self) -> RowSequence:
        """Return the rows that have changed recently, the latest of them where they are many."""
        settled = self._recent.settled(trio.current_time())
        return self.changed_after(settled)

    def snapshot(self, since: int | None = None, epoch: str | None = None) -> Snapshot:
        """Return all rows, or where ``since`` and ``epoch`` allow it those changed since.

        :param since: the revision of the last row the reader has; inclusive.
        :param epoch: the epoch that revision belongs to.
        """
        board = self.board
        if not board.needs_full(since, epoch):
            assert since is not None
            return self._part(since)
        if self._full is None:
            self._full = Snapshot(board.revision, board.epoch, full=True, rows=self._array())
        return self._full

    def _part(self, since: int) -> Snapshot:
        part = self._parts.get(since)
        if part is None:
            _make_room(self._parts)
            board, rows = self.board, self._array(from_revision=since)
            part = Snapshot(board.revision, board.epoch, full=False, rows=rows)
            self._parts[since] = part
        return part

    def _newer_parts(self, revision: int) -> list[Part]:
        board = self.board
        parts: list[Part] = []
        for row_id in board.ordered_ids():
            registration = board.registration(row_id)
            assert registration is not None
            own = registration.revision
            if own > revision:
                row = board.row(row_id)
                assert row is not None
                parts.append(EncodedRow.of(replace(row, revision=own)))
        for group in board.groups_since(revision + 1):
            members = board.members(group.number)
            parts.append(EncodedGroup.of(group, board.row(members[0]) if members else None))
        parts.sort(key=attrgetter("revision"))  # it is stable: rows stay before groups
        return parts

    def _row(self, registration_id: int) -> EncodedRow:
        row = self.row(registration_id)
        assert row is not None
        return row

    def _array(self, from_revision: int = 0) -> bytes:
        rows = (self._row(row_id) for row_id in self.board.ordered_ids())
        return b"[" + b",".join(r.json for r in rows if r.revision >= from_revision) + b"]"


def _make_room(kept: dict[int, Any]) -> None:
    """Drop the oldest of what is kept, where it is enough."""
    if len(kept) >= _KEPT_PARTS:
        del kept[next(iter(kept))]
