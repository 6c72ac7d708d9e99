"""A line-up at one revision, indexed by what decisions ask for."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.fields import Field, FieldKey, FieldValue, Value, value_in
from gbs_actor.lineup.records import NEVER, Group, Registration, Row, Stamp
from gbs_actor.lineup.row import build_row, sort_key, totals_of

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
V = TypeVar("V")


class Table(Protocol[K_contra, V]):
    """The part of a dict that a state needs of each of its tables."""

    def get(self, key: K_contra, /) -> V | None:
        """Return the value, or ``None`` where there is none."""
        ...

    def __getitem__(self, key: K_contra, /) -> V: ...

    def __setitem__(self, key: K_contra, value: V, /) -> None: ...

    def __delitem__(self, key: K_contra, /) -> None: ...


class Overlay(Generic[K, V]):
    """A table on top of another one, which it reads and never writes.

    Costs nothing to make, however large the table below.
    """

    __slots__ = ("_below", "_own")

    def __init__(self, below: Table[K, V]) -> None:
        self._below = below
        self._own: dict[K, V | None] = {}

    def get(self, key: K, /) -> V | None:
        """Return the value here or else below; ``None`` where there is none."""
        if key in self._own:
            return self._own[key]
        return self._below.get(key)

    def __getitem__(self, key: K, /) -> V:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: K, value: V, /) -> None:
        self._own[key] = value

    def __delitem__(self, key: K, /) -> None:
        self._own[key] = None


class State:
    """People, groups and rows, and how a change alters them.

    Attributes:
        revision: that of the last change installed.
        registrations: by registration id.
        groups: by group number; deleted ones, too.
        members: registration ids in list order, by group number.
        users: registration id, by user id.
        memo_owners: registration id, by memo id.
        rows: by registration id.
    """

    __slots__ = ("groups", "members", "memo_owners", "registrations", "revision", "rows", "users")

    def __init__(
        self,
        *,
        revision: int,
        registrations: Table[int, Registration],
        groups: Table[int, Group],
        members: Table[int, tuple[int, ...]],
        memo_owners: Table[int, int],
        rows: Table[int, Row],
        users: dict[int, int],
    ) -> None:
        self.revision = revision
        self.registrations = registrations
        self.groups = groups
        self.members = members
        self.memo_owners = memo_owners
        self.rows = rows
        self.users = users

    def overlay(self) -> State:
        """Return a state that starts as this one and leaves this one alone."""
        return State(
            revision=self.revision,
            registrations=Overlay(self.registrations),
            groups=Overlay(self.groups),
            members=Overlay(self.members),
            memo_owners=Overlay(self.memo_owners),
            rows=Overlay(self.rows),
            users=self.users,
        )

    def has_group(self, number: int) -> bool:
        """Return whether there is a group with this number; a deleted one is none."""
        group = self.groups.get(number)
        return group is not None and not group.deleted

    def field(self, key: FieldKey) -> tuple[Value, Stamp]:
        """Return the value of a field and its stamp; a group that never was has none.

        :raises KeyError: there is no such registration.
        """
        id_, number, field = key
        if id_ is not None:
            return value_in(self.registrations[id_], field)
        assert number is not None
        group = self.groups.get(number)
        if field is Field.EXISTS:
            return self.has_group(number), NEVER if group is None else group.stamp
        return ("", NEVER) if group is None else (group.memo, group.memo_stamp)

    def touched(self, number: int, stamp: Stamp) -> Group:
        """Return a group as a change of its members leaves it; it is created if need be.

        :param stamp: of the change.
        """
        group = self.groups.get(number)
        if group is None:
            return Group(number, revision=stamp.revision, stamp=stamp)
        return Group(
            number,
            group.memo,
            stamp.revision,
            group.memo_stamp,
            stamp if group.deleted else group.stamp,
        )

    def existence(self, group: Group) -> tuple[FieldValue, FieldValue]:
        """Return whether a group exists, as the log writes it: now, and as given."""
        number = group.number
        existed, former = self.field((None, number, Field.EXISTS))
        return (
            FieldValue(Field.EXISTS, existed, former.origin, gbs_number=number),
            FieldValue(Field.EXISTS, not group.deleted, group.stamp.origin, gbs_number=number),
        )

    def install(self, change: Change) -> None:
        """Take over a change's outcome; the work is in the size of the change.

        :raises ValueError: not the next revision, or a registration that is not here;
            nothing is altered then.
        """
        if change.revision != self.revision + 1:
            raise ValueError(f"revision {change.revision} does not follow {self.revision}")
        for registration in change.registrations:
            if self.registrations.get(registration.id) is None:
                raise ValueError(f"there is no registration {registration.id}")
        for registration in change.registrations:
            self._index_memo(registration)
            self.registrations[registration.id] = registration
        for row in change.rows:
            self.rows[row.id] = row
        if change.groups:
            # All rows of a group read differently when the group does, so the change
            # names every member, in list order.
            members: dict[int | None, list[int]] = {each.number: [] for each in change.groups}
            for row in change.rows:
                if row.gbs_number in members:
                    members[row.gbs_number].append(row.id)
            for group in change.groups:
                self.groups[group.number] = group
                self.members[group.number] = tuple(members[group.number])
        self.revision = change.revision

    def catch_up(
        self,
        revision: int,
        registrations: Iterable[Registration],
        groups: Iterable[Group],
        removed: Iterable[int] = (),
    ) -> list[Row]:
        """Take over what others have made of registrations and groups; return all rows of these.

        The work is in the size of the groups touched.

        :param revision: that of the last change in it.
        :param registrations: as they are now; new ones, too.
        :param groups: likewise.
        :param removed: ids of registrations that are gone.
        :raises ValueError: the revision is lower; nothing is altered then.
        """
        if revision < self.revision:
            raise ValueError(f"revision {revision} is lower than {self.revision}")
        touched: dict[int, set[int]] = {}
        rows: list[Row] = []

        def members_of(number: int) -> set[int]:
            if number not in touched:
                touched[number] = set(self.members.get(number) or ())
            return touched[number]

        for group in groups:
            self.groups[group.number] = group
            members_of(group.number)
        for id_ in removed:
            former = self.registrations.get(id_)
            if former is not None:
                if former.gbs_number is not None:
                    members_of(former.gbs_number).discard(id_)
                self._remove(former)
        for registration in registrations:
            former = self.registrations.get(registration.id)
            if former is not None and former.gbs_number is not None:
                members_of(former.gbs_number).discard(registration.id)
            if registration.gbs_number is not None:
                members_of(registration.gbs_number).add(registration.id)
            else:
                rows.append(build_row(registration))
            self._index_memo(registration)
            if former is not None:
                _drop(self.users, former.person.user_id, former.id)
            self.registrations[registration.id] = registration
            self.users[registration.person.user_id] = registration.id
        for number, members in touched.items():
            rows += self._rebuild(number, members)
        for row in rows:
            self.rows[row.id] = row
        self.revision = revision
        return rows

    def _remove(self, registration: Registration) -> None:
        if registration.memo is not None:
            _drop(self.memo_owners, registration.memo.id, registration.id)
        _drop(self.users, registration.person.user_id, registration.id)
        del self.registrations[registration.id], self.rows[registration.id]

    def _rebuild(self, number: int, members: Iterable[int]) -> list[Row]:
        """Return the rows of a group, which has other members or values now, in list order."""
        group = self.groups.get(number)
        if group is None:
            group = self.groups[number] = Group(number)
        registrations = [self.registrations[id_] for id_ in members]
        totals = totals_of(each.person for each in registrations)
        rows = sorted((build_row(each, group, totals) for each in registrations), key=sort_key)
        self.members[number] = tuple(row.id for row in rows)
        return rows

    def _index_memo(self, registration: Registration) -> None:
        before = self.registrations.get(registration.id)
        memo = None if before is None else before.memo
        if memo is not None:
            _drop(self.memo_owners, memo.id, registration.id)
        if registration.memo is not None:
            self.memo_owners[registration.memo.id] = registration.id


def _drop(index: Table[int, int], key: int, registration_id: int) -> None:
    """Remove an entry, unless another program has given what it is of to somebody else."""
    if index.get(key) == registration_id:
        del index[key]
