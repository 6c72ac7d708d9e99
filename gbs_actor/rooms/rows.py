"""A board's rows as JSON, each encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import trio

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.records import Group, Row
from gbs_actor.rooms.delivery import Snapshot
from gbs_actor.rooms.encoded import EncodedGroup, EncodedRemoval, EncodedRow, Part
from gbs_actor.rooms.part_sequence import PartSequence, summary_of
from gbs_actor.rooms.recent_changes import RecentChanges
from gbs_actor.rooms.row_sequence import RowSequence
from gbs_actor.rooms.work_budget import WorkBudget
from gbs_actor.store.protocol import Delta

_KEPT_PARTS = 8
"""Partial snapshots kept for the next to ask, and sequences of changed rows: after a network
failure many clients come back that were sent the same last."""

_SnapshotKey = tuple[int | None, bool]
"""Since which revision, and whether for the batch form."""


class EncodedRows:
    """A board together with the JSON of its rows.

    Rows are encoded when they are sent, or before, by :meth:`encode`. Joins and reads between
    two changes cost one encoding in all.

    :param board: the committed state; :meth:`apply` and :meth:`catch_up` move it on.
    :param recent: which of its revisions are recent.
    """

    def __init__(self, board: Board, recent: RecentChanges) -> None:
        self.board = board
        self._recent = recent
        recent.reached(board.revision, trio.current_time())
        self.encoded = False
        """Whether all rows were encoded once; few have changed since that were not sent."""
        self._encoded: dict[int, EncodedRow] = {}
        self._full: dict[_SnapshotKey, Snapshot] = {}
        self._parts: dict[_SnapshotKey, Snapshot] = {}
        self._changed: dict[int, RowSequence] = {}
        self._changed_parts: dict[int, PartSequence] = {}
        self._removals: tuple[EncodedRemoval, ...] = ()
        """Those of the last delta."""

    async def encode(self, budget: WorkBudget) -> None:
        """Encode all rows, so that the first full list takes no long step."""
        for registration_id in self.board.ordered_ids():
            _ = self._row(registration_id).json
            await budget.spend()
        self.encoded = True

    def row(self, registration_id: int) -> EncodedRow | None:
        """Return the row as it is, or ``None`` where there is no such registration."""
        encoded = self._encoded.get(registration_id)
        if encoded is None:
            row = self.board.row(registration_id)
            if row is None:
                return None
            encoded = self._encoded[registration_id] = EncodedRow.of(row)
        return encoded

    def own_row(self, registration_id: int) -> EncodedRow | None:
        """Return the row as it is for clients in the batch form, in the revision of its own fields.

        ``None`` where there is no such registration.
        """
        encoded = self.row(registration_id)
        if encoded is None:
            return None
        return encoded.in_revision(self.own_revision(registration_id))

    def own_revision(self, registration_id: int) -> int:
        """Return the revision of a registration's own fields; the registration must be there."""
        registration = self.board.registration(registration_id)
        assert registration is not None
        return registration.revision

    def apply(self, change: Change) -> tuple[EncodedRow, ...]:
        """Apply a committed change to the board; return the rows it changed."""
        self.board.apply(change)
        return self._replace(change.rows)

    def catch_up(self, delta: Delta) -> None:
        """Take over what others have committed; the work is in the size of the delta.

        What it has changed is then at hand for those who have the revision before.

        :param delta: complete, and of the board's revision.
        """
        board, former = self.board, self.board.revision
        version, removed = delta.version, delta.removed
        rows = board.catch_up(
            *(version.revision, delta.registrations, delta.groups),
            *(removed, version.removal_revision),
        )
        for registration_id in removed:
            self._encoded.pop(registration_id, None)
        self._removals = tuple(map(EncodedRemoval, removed.keys(), removed.values()))
        newer = [row for row in self._replace(rows) if row.revision > former]
        newer.sort(key=attrgetter("revision"))
        self._changed[former] = RowSequence(newer)
        ids = [each.id for each in delta.registrations if each.revision > former]
        groups = [each for each in delta.groups if each.revision > former]
        summaries = {each.revision: it for each in delta.entries if (it := summary_of(each))}
        parts = self._parts_of(ids, groups, self._removals)
        self._changed_parts[former] = PartSequence(parts, summaries)

    def newer_than(self, revision: int) -> list[EncodedRow]:
        """Return the rows with a higher revision, ascending by revision."""
        newer = [row for row in self.board.rows() if row.revision > revision]
        newer.sort(key=attrgetter("revision"))
        return [self._row(row.id) for row in newer]

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

    def snapshot(
        self, since: int | None = None, epoch: str | None = None, *, batched: bool = False
    ) -> Snapshot:
        """Return all rows, or where ``since`` and ``epoch`` allow it those changed since.

        A row has changed if its own fields have, or what it shows of its group.

        :param since: the revision of the last row the reader has; inclusive.
        :param epoch: the epoch that revision belongs to.
        :param batched: for clients in the batch form: rows have the revision of their own fields.
        """
        board = self.board
        if board.needs_full(since, epoch):
            since = None
        key = (since, batched)
        kept = self._full if since is None else self._parts
        snapshot = kept.get(key)
        if snapshot is None:
            _make_room(kept)
            rows = self._array(since or 0, batched=batched)
            snapshot = Snapshot(board.revision, board.epoch, full=since is None, rows=rows)
            kept[key] = snapshot
        return snapshot

    def _newer_parts(self, revision: int) -> list[Part]:
        board = self.board
        ids = (row_id for row_id in board.ordered_ids() if self.own_revision(row_id) > revision)
        removals = (each for each in self._removals if each.revision > revision)
        return self._parts_of(ids, board.groups_since(revision + 1), removals)

    def _parts_of(
        self, ids: Iterable[int], groups: Iterable[Group], removals: Iterable[EncodedRemoval]
    ) -> list[Part]:
        board = self.board
        parts: list[Part] = [self._own_row(row_id) for row_id in ids]
        parts.extend(removals)
        for group in groups:
            members = board.members(group.number)
            parts.append(
                EncodedGroup.of(board.slug, group, board.row(members[0]) if members else None)
            )
        parts.sort(key=attrgetter("revision"))  # it is stable: rows stay before groups
        return parts

    def _replace(self, rows: Iterable[Row]) -> tuple[EncodedRow, ...]:
        """Note that the board has another revision, in which these rows read differently."""
        self._full.clear()
        self._parts.clear()
        self._changed.clear()
        self._changed_parts.clear()
        self._recent.reached(self.board.revision, trio.current_time())
        changed = tuple(EncodedRow.of(row) for row in rows)
        for encoded in changed:
            self._encoded[encoded.id] = encoded
        return changed

    def _row(self, registration_id: int) -> EncodedRow:
        row = self.row(registration_id)
        assert row is not None
        return row

    def _own_row(self, registration_id: int) -> EncodedRow:
        row = self.own_row(registration_id)
        assert row is not None
        return row

    def _array(self, from_revision: int, *, batched: bool) -> bytes:
        encoded = self._encoded  # it may be a thousand rows, between two checkpoints
        ids = [row.id for row in self.board.rows_since(from_revision)]
        chosen = [encoded.get(id_) or self._row(id_) for id_ in ids]
        if batched:
            chosen = [row.in_revision(self.own_revision(row.id)) for row in chosen]
        return b"[" + b",".join([row.json for row in chosen]) + b"]"


def _make_room(kept: dict[Any, Any]) -> None:
    """Drop the oldest of what is kept, where it is enough."""
    if len(kept) >= _KEPT_PARTS:
        del kept[next(iter(kept))]
