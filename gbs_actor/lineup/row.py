"""A line-up row: its group's totals, its place in the list, and how it is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from msgspec.structs import replace

from gbs_actor.lineup.records import Gender, Group, Registration, Row
from gbs_actor.lineup.text import comparable

# -- totals


class Counted(Protocol):
    """What a count reads of a member: a person and a row both have it."""

    @property
    def gender(self) -> Gender:
        """The member's gender."""
        ...

    @property
    def is_full_attendance(self) -> bool:
        """Whether the member comes for the whole retreat."""
        ...


@dataclass(frozen=True, slots=True)
class Totals:
    """How many members a group has, and of which kind."""

    members: int = 0
    male: int = 0
    female: int = 0
    full_attendance: int = 0
    partial_attendance: int = 0


NOBODY = Totals()
"""The totals on the row of a person who is in no group."""


def totals_of(members: Iterable[Counted]) -> Totals:
    """Count the members of one group."""
    count = male = full = 0
    for member in members:
        count += 1
        if member.gender is Gender.MALE:
            male += 1
        if member.is_full_attendance:
            full += 1
    return Totals(count, male, count - male, full, count - full)


# -- order

SortKey = tuple[bool, int, bool, int, str, int]
"""Orders the rows of a retreat; no two of them share one."""


def sort_key(row: Row) -> SortKey:
    """Return the key that sorts rows as clients see them.

    Group number ascending, unassigned people last; in a group the leader first; then
    grade descending; then name, by code point of its NFC form; then id.
    """
    unassigned = row.gbs_number is None
    return (
        unassigned,
        row.gbs_number or 0,
        unassigned or not row.is_leader,
        -row.grade_number,
        comparable(row.name),
        row.id,
    )


# -- rows


def iso_utc(at: datetime) -> str:
    """Return a moment as rows write it: ISO 8601, UTC, milliseconds, "Z".

    :param at: aware; parts of a millisecond are cut off.
    :raises ValueError: ``at`` is naive.
    """
    if at.tzinfo is not UTC:
        if at.utcoffset() is None:
            raise ValueError("a naive time names no moment")
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def build_row(
    registration: Registration, group: Group | None = None, totals: Totals = NOBODY
) -> Row:
    """Build a row from what it depends on.

    :param group: the group the registration is assigned to; ``None`` for none.
    :param totals: the counts of that group, this registration included.
    """
    person = registration.person
    memo = registration.memo
    return Row(
        id=registration.id,
        user_id=person.user_id,
        gbs_number=registration.gbs_number,
        total_count=totals.members,
        male_count=totals.male,
        female_count=totals.female,
        full_attendance_count=totals.full_attendance,
        partial_attendance_count=totals.partial_attendance,
        univ_group_id=person.univ_group_id,
        univ_group_number=person.univ_group_number,
        grade_id=person.grade_id,
        grade_number=person.grade_number,
        gender=person.gender,
        name=person.name,
        phone_number=person.phone_number,
        current_leader=registration.current_leader,
        is_leader=registration.is_leader,
        is_full_attendance=person.is_full_attendance,
        gbs_memo="" if group is None else group.memo,
        lineup_memo="" if memo is None else memo.text,
        lineup_memo_id=None if memo is None else memo.id,
        lineup_memocolor="" if memo is None else memo.color,
        user_type=person.user_type,
        user_retreat_registration_schedule_ids=person.schedule_ids,
        created_at=iso_utc(person.created_at),
        updated_at=iso_utc(registration.updated_at),
        unresolved_lineup_history_memo=person.unresolved_lineup_history_memo,
        admin_memo=person.admin_memo,
        revision=max(registration.revision, 0 if group is None else group.revision),
    )


# A row after a change is its former self with a few fields replaced. Building it anew
# gives the same at several times the cost, most of it for formatting times.


def regrouped(rows: Iterable[Row], group: Group, totals: Totals) -> list[Row]:
    """Return rows of a group's members after anything of the group was changed.

    :param totals: the counts of the group.
    """
    members, male, female = totals.members, totals.male, totals.female
    full, partial = totals.full_attendance, totals.partial_attendance
    memo, revision = group.memo, group.revision
    return [
        replace(
            row,
            total_count=members,
            male_count=male,
            female_count=female,
            full_attendance_count=full,
            partial_attendance_count=partial,
            gbs_memo=memo,
            revision=revision,
        )
        for row in rows
    ]


def moved(row: Row, at: str, revision: int, group: Group | None, totals: Totals) -> Row:
    """Return a person's row after the person went to ``group``, or with ``None`` to none.

    :param at: the moment of the change, as rows write it.
    :param totals: the counts of that group, this person included.
    """
    return replace(
        row,
        gbs_number=None if group is None else group.number,
        total_count=totals.members,
        male_count=totals.male,
        female_count=totals.female,
        full_attendance_count=totals.full_attendance,
        partial_attendance_count=totals.partial_attendance,
        gbs_memo="" if group is None else group.memo,
        updated_at=at,
        revision=revision,
    )


def rewritten(row: Row, registration: Registration, at: str, revision: int) -> Row:
    """Return a person's row after any of its own fields were changed.

    What it shows of a group is as it was: see :func:`regrouped` and :func:`moved`.

    :param at: the moment of the change, as rows write it.
    """
    memo = registration.memo
    return replace(
        row,
        gbs_number=registration.gbs_number,
        current_leader=registration.current_leader,
        is_leader=registration.is_leader,
        lineup_memo="" if memo is None else memo.text,
        lineup_memo_id=None if memo is None else memo.id,
        lineup_memocolor="" if memo is None else memo.color,
        updated_at=at,
        revision=revision,
    )
