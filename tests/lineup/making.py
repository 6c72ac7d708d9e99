"""Small retreats, people and commands for the tests of the line-up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Rejection
from gbs_actor.lineup.commands import Action, Author, Command
from gbs_actor.lineup.fields import Value
from gbs_actor.lineup.records import (
    NEVER,
    Gender,
    Group,
    Memo,
    Person,
    Registration,
    Retreat,
    Row,
    Stamp,
)

START = datetime(2024, 1, 5, 3, 0, tzinfo=UTC)
JIWON = Author(user_id=901, name="박지원", admin_user_id=91)
MINSU = Author(user_id=902, name="김민수", admin_user_id=92)


def at(seconds: int) -> datetime:
    """A moment of the test's story."""
    return START + timedelta(seconds=seconds)


def person(
    id_: int,
    *,
    name: str = "",
    grade: int = 1,
    gender: Gender = Gender.FEMALE,
    full: bool = True,
) -> Person:
    return Person(
        user_id=10_000 + id_,
        univ_group_id=7,
        univ_group_number=3,
        grade_id=70 + grade,
        grade_number=grade,
        gender=gender,
        name=name or f"사람{id_:02}",
        phone_number="010-1234-5678",
        is_full_attendance=full,
        user_type=None,
        schedule_ids=(1, 2, 3) if full else (1,),
        created_at=START,
    )


def registration(
    id_: int,
    number: int | None = None,
    *,
    name: str = "",
    leader: bool = False,
    grade: int = 1,
    gender: Gender = Gender.FEMALE,
    full: bool = True,
    memo: Memo | None = None,
    number_stamp: Stamp = NEVER,
    memo_stamp: Stamp = NEVER,
    row_revision: int = 0,
) -> Registration:
    return Registration(
        id=id_,
        person=person(id_, name=name, grade=grade, gender=gender, full=full),
        gbs_number=number,
        updated_at=START,
        number_stamp=number_stamp,
        memo=memo,
        memo_stamp=memo_stamp,
        row_revision=row_revision,
        is_leader=leader,
        current_leader="이서연",
    )


def retreat(
    *registrations: Registration,
    revision: int = 0,
    groups: Iterable[Group] = (),
    removal_revision: int = 0,
) -> Retreat:
    return Retreat(
        id=1,
        slug="2024-winter",
        revision=revision,
        epoch="e1",
        registrations=registrations,
        groups={group.number: group for group in groups},
        removal_revision=removal_revision,
    )


def board(*registrations: Registration, revision: int = 0, groups: Iterable[Group] = ()) -> Board:
    return Board(retreat(*registrations, revision=revision, groups=groups))


def command(
    action: Action,
    *,
    by: Author = JIWON,
    base: int | None = None,
    id_: int = 1,
    epoch: str | None = None,
    outside: bool = False,
) -> Command:
    return Command(
        action=action,
        author=by,
        id=UUID(int=id_),
        base_revision=base,
        epoch=epoch,
        outside_room=outside,
    )


def outcome(
    of: Board,
    action: Action,
    *,
    by: Author = JIWON,
    base: int | None = None,
    seconds: int = 1,
    memo_ids: Iterator[int] | None = None,
) -> Change | Rejection:
    """Decide one action and leave the board as it is."""
    draft = of.draft(count(500) if memo_ids is None else memo_ids)
    return draft.decide(command(action, by=by, base=base), at(seconds))


def accepted(
    of: Board,
    action: Action,
    *,
    by: Author = JIWON,
    base: int | None = None,
    seconds: int = 1,
    memo_ids: Iterator[int] | None = None,
) -> Change:
    """Decide one action, which must be accepted, and apply it."""
    change = outcome(of, action, by=by, base=base, seconds=seconds, memo_ids=memo_ids)
    assert isinstance(change, Change), change
    of.apply(change)
    return change


def rejected(
    of: Board, action: Action, *, by: Author = JIWON, base: int | None = None
) -> Rejection:
    """Decide one action, which must be rejected."""
    rejection = outcome(of, action, by=by, base=base)
    assert isinstance(rejection, Rejection), rejection
    return rejection


def row(of: Board, id_: int) -> Row:
    found = of.row(id_)
    assert found is not None
    return found


def held(of: Board, id_: int) -> Registration:
    found = of.registration(id_)
    assert found is not None
    return found


def values(of: Change | LogEntry) -> tuple[list[Value], list[Value]]:
    """The values of the written fields before and after."""
    return [each.value for each in of.before], [each.value for each in of.after]


def contents(of: Board, numbers: Iterable[int] = range(1, 7)) -> object:
    """Everything a board says, in a form that can be compared."""
    return (
        of.revision,
        of.rows(),
        [of.registration(id_) for id_ in of.ordered_ids()],
        [(number, of.group(number), of.members(number)) for number in numbers],
    )


def as_retreat(of: Board, start: Retreat, numbers: Iterable[int] = range(1, 7)) -> Retreat:
    """The state that a board has come to, as a store would load it."""
    groups = {number: of.group(number) for number in numbers}
    return replace(
        start,
        revision=of.revision,
        registrations=tuple(held(of, each.id) for each in start.registrations),
        groups={number: group for number, group in groups.items() if group is not None},
    )


def reloaded(of: Board, start: Retreat, numbers: Iterable[int] = range(1, 7)) -> Board:
    """A board built anew from the state that another one has come to."""
    return Board(as_retreat(of, start, numbers))
