"""The rows of a seed: ids assigned, references resolved, mistakes reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gbs_actor.lineup.records import Memo, Person, Registration
from gbs_actor.lineup.schedules import Schedule, ScheduleKind
from gbs_actor.store.seed.seed import RetreatSeed, SeedPerson


class MemoKind(StrEnum):
    """The kind of a registration's memo; at most one of LINEUP_STAFF is live."""

    LINEUP_STAFF = "LINEUP_STAFF"
    """Written on the line-up page, through commands."""
    LINEUP_HISTORY = "LINEUP_HISTORY"
    """A request that the line-up has yet to resolve; read-only."""
    ADMIN = "ADMIN"
    """From the administration of the retreat; read-only."""


class SeedIds(Protocol):
    """Fresh ids, as many as are drawn, each sequence on its own."""

    def univ_group(self, number: int) -> int:
        """Return the id of the department with this number."""
        ...

    def grade(self, univ_group_number: int, grade_number: int) -> int:
        """Return the id of this grade of this department."""
        ...

    @property
    def schedules(self) -> Iterator[int]:
        """Ids for schedules."""
        ...

    @property
    def users(self) -> Iterator[int]:
        """Ids for users."""
        ...

    @property
    def registrations(self) -> Iterator[int]:
        """Ids for registrations."""
        ...

    @property
    def memos(self) -> Iterator[int]:
        """Ids for memos of every kind."""
        ...


@dataclass(frozen=True, slots=True)
class MemoRow:
    """A live memo of a registration."""

    id: int
    registration_id: int
    kind: MemoKind
    text: str
    color: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of one retreat that are new with it."""

    schedules: tuple[Schedule, ...]
    """One per :attr:`RetreatSeed.schedules`, in that order."""
    registrations: tuple[Registration, ...]
    """One per :attr:`RetreatSeed.people`, in that order, with ascending ids."""
    memos: tuple[MemoRow, ...]
    group_memos: tuple[tuple[int, str], ...]
    """``(number, memo)`` of every group, ascending: those listed and those people are in."""


def seeded_memos(person: SeedPerson) -> list[tuple[MemoKind, str, str]]:
    """Return kind, text and colour of each memo that this person starts with."""
    memos = []
    if person.memo or person.memo_color:
        memos.append((MemoKind.LINEUP_STAFF, person.memo, person.memo_color))
    if person.unresolved_lineup_history_memo is not None:
        memos.append((MemoKind.LINEUP_HISTORY, person.unresolved_lineup_history_memo, ""))
    if person.admin_memo is not None:
        memos.append((MemoKind.ADMIN, person.admin_memo, ""))
    return memos


def check(seed: RetreatSeed) -> None:
    """Refuse a seed whose parts do not fit together.

    :raises ValueError: names the first part that does not.
    """
    if not seed.slug:
        raise ValueError("a retreat needs a slug")
    grades = [(univ.number, grade.number) for univ in seed.univ_groups for grade in univ.grades]
    for what, keys in (
        ("department numbers", [univ.number for univ in seed.univ_groups]),
        ("grade numbers", grades),
        ("group memos", [number for number, _ in seed.group_memos]),
        ("grants", [user for user, _ in seed.grants]),
    ):
        if len(set(keys)) != len(keys):
            raise ValueError(f"{what} repeat in the seed of {seed.slug!r}")
    for person in seed.people:
        if (person.univ_group_number, person.grade_number) not in grades:
            raise ValueError(
                f"{person.name!r} is in grade {person.grade_number} of department "
                f"{person.univ_group_number}, which the seed does not have"
            )
        if not set(person.schedules) <= set(range(len(seed.schedules))):
            raise ValueError(f"{person.name!r} is registered for a schedule that is not there")


def lay_out(seed: RetreatSeed, ids: SeedIds) -> Layout:
    """Assign an id to every person, registration and memo of a seed.

    :raises ValueError: the parts of the seed do not fit together.
    """
    check(seed)
    schedules = tuple(
        Schedule(
            id=next(ids.schedules),
            starts_at=each.starts_at,
            kind=each.kind or ScheduleKind.at(each.starts_at),
            name=each.name,
        )
        for each in seed.schedules
    )
    registrations: list[Registration] = []
    memo_rows: list[MemoRow] = []
    group_memos = dict(seed.group_memos)
    for person in seed.people:
        registration_id = next(ids.registrations)
        lineup_memo: Memo | None = None
        for kind, text, color in seeded_memos(person):
            memo_id = next(ids.memos)
            memo_rows.append(
                MemoRow(memo_id, registration_id, kind, text, color, person.registered_at)
            )
            if kind is MemoKind.LINEUP_STAFF:
                lineup_memo = Memo(memo_id, text, color)
        if person.gbs_number is not None:
            group_memos.setdefault(person.gbs_number, "")
        registrations.append(
            Registration(
                id=registration_id,
                person=Person(
                    user_id=next(ids.users),
                    univ_group_id=ids.univ_group(person.univ_group_number),
                    univ_group_number=person.univ_group_number,
                    grade_id=ids.grade(person.univ_group_number, person.grade_number),
                    grade_number=person.grade_number,
                    gender=person.gender,
                    name=person.name,
                    phone_number=person.phone_number,
                    is_full_attendance=len(set(person.schedules)) == len(seed.schedules),
                    user_type=person.user_type,
                    schedule_ids=tuple(schedules[i].id for i in sorted(set(person.schedules))),
                    created_at=person.registered_at,
                    unresolved_lineup_history_memo=person.unresolved_lineup_history_memo,
                    admin_memo=person.admin_memo,
                ),
                gbs_number=person.gbs_number,
                updated_at=person.registered_at,
                memo=lineup_memo,
                is_leader=person.is_leader,
                current_leader=person.current_leader,
            )
        )
    return Layout(
        schedules=schedules,
        registrations=tuple(registrations),
        memos=tuple(memo_rows),
        group_memos=tuple(sorted(group_memos.items())),
    )
