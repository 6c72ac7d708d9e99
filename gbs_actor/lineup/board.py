"""The line-up of one retreat, as of its last durable change."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

import msgspec

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    BulkAssign,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.records import Group, Registration, Retreat, Row
from gbs_actor.lineup.row import NOBODY, build_row, sort_key, totals_of
from gbs_actor.lineup.state import State


class BoardStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The size of a board."""

    revision: int
    registrations: int
    groups: int
    """Groups that exist, empty ones included; deleted ones are not."""
    memos: int


class Board:
    """The people, groups and rows of a retreat.

    It changes by :meth:`apply` and :meth:`catch_up` only. What commands would do to it is found
    out on a :meth:`draft`.

    :param retreat: as the store loaded it. A number that people are in and that
        ``retreat.groups`` lacks is a group without a memo.
    """

    def __init__(self, retreat: Retreat) -> None:
        self._retreat = retreat
        self._registrations = {each.id: each for each in retreat.registrations}
        self._groups = dict(retreat.groups)
        self._members: dict[int, tuple[int, ...]] = {}
        self._memo_owners = {
            each.memo.id: each.id for each in retreat.registrations if each.memo is not None
        }
        self._rows: dict[int, Row] = {}
        self._order: tuple[int, ...] | None = None
        self._build_rows()
        self._state = State(
            revision=retreat.revision,
            registrations=self._registrations,
            groups=self._groups,
            members=self._members,
            memo_owners=self._memo_owners,
            rows=self._rows,
            users={each.person.user_id: each.id for each in retreat.registrations},
        )

    def _build_rows(self) -> None:
        together: dict[int | None, list[Registration]] = {}
        for registration in self._registrations.values():
            together.setdefault(registration.gbs_number, []).append(registration)
        for number, registrations in together.items():
            group, totals = None, NOBODY
            if number is not None:
                group = self._groups.setdefault(number, Group(number))
                totals = totals_of(each.person for each in registrations)
            for registration in registrations:
                self._rows[registration.id] = build_row(registration, group, totals)
        for number, rows in groupby(self.rows(), key=lambda row: row.gbs_number):
            if number is not None:
                self._members[number] = tuple(row.id for row in rows)

    # -- what it is

    @property
    def retreat_id(self) -> int:
        """The retreat's id in the store."""
        return self._retreat.id

    @property
    def slug(self) -> str:
        """The retreat's name in addresses."""
        return self._retreat.slug

    @property
    def epoch(self) -> str:
        """Opaque; another one whenever revisions start anew."""
        return self._retreat.epoch

    @property
    def revision(self) -> int:
        """The revision of the last change applied."""
        return self._state.revision

    @property
    def removal_revision(self) -> int:
        """The revision at which a registration was last removed (0: never)."""
        return self._retreat.removal_revision

    def retreat(self) -> Retreat:
        """Return what it was built from, as it is by now."""
        return dataclasses.replace(
            self._retreat,
            revision=self.revision,
            registrations=tuple(self._registrations.values()),
            groups=dict(self._groups),
        )

    def __len__(self) -> int:
        """Return how many registrations there are."""
        return len(self._registrations)

    def statistics(self) -> BoardStatistics:
        """Return how much there is."""
        return BoardStatistics(
            revision=self.revision,
            registrations=len(self._registrations),
            groups=sum(not group.deleted for group in self._groups.values()),
            memos=len(self._memo_owners),
        )

    # -- what is on it

    def ordered_ids(self) -> tuple[int, ...]:
        """Return all registration ids in list order."""
        if self._order is None:
            self._order = tuple(row.id for row in sorted(self._rows.values(), key=sort_key))
        return self._order

    def rows(self) -> list[Row]:
        """Return all rows in list order."""
        return [self._rows[id_] for id_ in self.ordered_ids()]

    def rows_since(self, revision: int) -> list[Row]:
        """Return every row last changed at ``revision`` or later, in list order.

        Inclusive: who has seen a part of a revision's rows gets all of them again.
        """
        return [row for row in self.rows() if row.revision >= revision]

    def needs_full(self, since: int | None, epoch: str | None) -> bool:
        """Whether a client must replace its list instead of merging :meth:`rows_since`.

        :param since: the revision of the last row that the client received.
        :param epoch: the epoch the client got it in; ``None`` where it sent none.
        """
        if since is None or since > self.revision:
            return True
        if epoch is not None and epoch != self.epoch:
            return True
        return 0 < self.removal_revision >= since

    def row(self, registration_id: int) -> Row | None:
        """Return the row of a registration, if there is one."""
        return self._rows.get(registration_id)

    def registration(self, registration_id: int) -> Registration | None:
        """Return a registration, if there is one."""
        return self._registrations.get(registration_id)

    def group(self, number: int) -> Group | None:
        """Return a group, if there is or was one with this number: it may be deleted."""
        return self._groups.get(number)

    def groups_since(self, revision: int) -> list[Group]:
        """Return every group last changed at ``revision`` or later."""
        return [group for group in self._groups.values() if group.revision >= revision]

    def members(self, number: int) -> tuple[int, ...]:
        """Return the registration ids of a group's members, in list order."""
        return self._members.get(number, ())

    def memo_owner(self, memo_id: int) -> int | None:
        """Return the id of the registration that has this memo, if the memo exists."""
        return self._memo_owners.get(memo_id)

    def target(self, action: Action) -> int | None:
        """Return the id of the registration that an action is about, if it is here.

        Of several assignments, the first counts; other actions are about none.
        """
        match action:
            case UpdateMemo() | DeleteMemo():
                return self.memo_owner(action.memo_id)
            case AssignNumber() | CreateMemo():
                target = action.registration_id
            case BulkAssign() if action.assignments:
                target = action.assignments[0].registration_id
            case _:
                return None
        return target if target in self._registrations else None

    # -- how it changes

    def draft(self, memo_ids: Iterator[int]) -> Draft:
        """Return a draft on top of the board, to decide commands on.

        :param memo_ids: fresh ids; each created memo takes one.
        """
        return Draft(self._state.overlay(), self.epoch, memo_ids)

    def apply(self, change: Change) -> None:
        """Take over a committed change; the work is in the size of the change.

        :raises ValueError: the change is not the next revision, or of a registration
            that is not here; the board is as it was.
        """
        self._state.install(change)
        if change.groups:
            self._order = None

    def catch_up(
        self,
        revision: int,
        registrations: Iterable[Registration],
        groups: Iterable[Group],
        removed: Collection[int] = (),
        removal_revision: int = 0,
    ) -> list[Row]:
        """Take over the changes that others have made; the work is in the size of the changes.

        :param revision: that of the last of them.
        :param registrations: those that have changed, as they are now.
        :param groups: likewise.
        :param removed: ids of registrations that are gone.
        :param removal_revision: of the last removal, if there was one since.
        :returns: the rows of these registrations, and of all groups that they are, were or show.
        :raises ValueError: the revision is lower than the board's, which is as it was.
        """
        self._order = None
        rows = self._state.catch_up(revision, registrations, groups, removed)
        if removal_revision > self.removal_revision:
            self._retreat = dataclasses.replace(self._retreat, removal_revision=removal_revision)
        return rows
