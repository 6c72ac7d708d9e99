"""A line-up as one dict of values, for changes of many fields, groups, undo and redo.

It knows nothing of plans, boards or stamps: each value is an object of its own, so that whether
a field has the very value that a change gave it is a question of identity. Rows, totals and what
is touched are recomputed from scratch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import normalize

from gbs_actor.lineup.commands import (
    AssignLeaders,
    AssignNumber,
    BulkAssign,
    Command,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.records import Gender, Person, Retreat

Key = tuple[int | None, int | None, str]
"""A registration's id or a group's number, and the name of the field."""
NUMBER, LEADER, MEMO, EXISTS = "gbsNumber", "isLeader", "lineupMemo", "exists"


@dataclass(eq=False)
class Given:
    """A value that a change gave to a field."""

    value: Any


@dataclass
class Cell:
    """What a field holds."""

    given: Given
    revision: int = 0
    author: int | None = None
    origin: int = 0


@dataclass
class Entry:
    """What a change has written."""

    author: int | None
    is_undo: bool
    written: dict[Key, tuple[Given, int, Given]] = field(default_factory=dict)
    """By field: the value before with its origin, and the new value."""
    left: dict[Key, Given] = field(default_factory=dict)
    """Everybody's group and flag behind it."""


@dataclass(frozen=True)
class Trouble:
    """A problem, or the rejection of a whole command."""

    code: str
    index: int | None = None
    key: tuple[int | None, int | None, str | None] = (None, None, None)


class Refused(Exception):
    """A command that changes nothing."""

    def __init__(self, code: str, troubles: list[Trouble] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.troubles = troubles or []


class Naive:
    def __init__(self, retreat: Retreat, revisions: dict[int, int]) -> None:
        """:param revisions: the rows' revisions at the start, by registration id."""
        self.revision = retreat.revision
        self.people: dict[int, Person] = {each.id: each.person for each in retreat.registrations}
        self.updated = {each.id: each.updated_at for each in retreat.registrations}
        self.row_revisions = dict(revisions)
        self.cells: dict[Key, Cell] = {}
        self.entries: dict[int, Entry] = {}
        self.troubles: list[Trouble] = []
        """Of the last command that was carried out."""
        for each in retreat.registrations:
            for name, value, stamp in (
                (NUMBER, each.gbs_number, each.number_stamp),
                (LEADER, each.is_leader, each.leader_stamp),
                ("currentLeader", each.current_leader, each.current_leader_stamp),
                ("lineupNumber", each.lineup_number, each.lineup_number_stamp),
                (
                    MEMO,
                    each.memo and (each.memo.id, each.memo.text, each.memo.color),
                    each.memo_stamp,
                ),
            ):
                cell = Cell(Given(value), stamp.revision, stamp.author_id, stamp.origin)
                self.cells[each.id, None, name] = cell
            if each.gbs_number is not None:
                self.cells[None, each.gbs_number, EXISTS] = Cell(Given(True))
        for number, group in retreat.groups.items():
            self.cells[None, number, EXISTS] = Cell(Given(True))
            self.cells[None, number, "gbsMemo"] = Cell(Given(group.memo))
        self.past: dict[int, list[dict[str, Any]]] = {self.revision: self.rows()}
        self.groups_at = {self.revision: self._groups()}

    # -- what it shows

    def value(self, key: Key) -> Any:
        return self.cell(key).given.value

    def cell(self, key: Key) -> Cell:
        if key not in self.cells:
            self.cells[key] = Cell(Given(False if key[2] == EXISTS else ""))
        return self.cells[key]

    def _groups(self) -> set[int]:
        return {
            key[1]
            for key, cell in self.cells.items()
            if key[2] == EXISTS and cell.given.value and key[1] is not None
        }

    def members(self, number: int) -> list[int]:
        return [id_ for id_ in self.people if self.value((id_, None, NUMBER)) == number]

    def rows(self) -> list[dict[str, Any]]:
        rows = [self._row(id_) for id_ in self.people]
        rows.sort(key=lambda row: row["id"])
        rows.sort(key=lambda row: normalize("NFC", row["name"]))
        rows.sort(key=lambda row: row["gradeNumber"], reverse=True)
        rows.sort(key=lambda row: row["gbsNumber"] is None or not row["isLeader"])
        rows.sort(key=lambda row: (row["gbsNumber"] is None, row["gbsNumber"] or 0))
        return rows

    def _row(self, id_: int) -> dict[str, Any]:
        person, number = self.people[id_], self.value((id_, None, NUMBER))
        group = [] if number is None else [self.people[each] for each in self.members(number)]
        memo_id, text, color = self.value((id_, None, MEMO)) or (None, "", "")
        at = self.updated[id_]
        return {
            "id": id_,
            "gbsNumber": number,
            "totalCount": len(group),
            "maleCount": sum(each.gender is Gender.MALE for each in group),
            "femaleCount": sum(each.gender is Gender.FEMALE for each in group),
            "fullAttendanceCount": sum(each.is_full_attendance for each in group),
            "partialAttendanceCount": sum(not each.is_full_attendance for each in group),
            "gradeNumber": person.grade_number,
            "name": person.name,
            "currentLeader": self.value((id_, None, "currentLeader")),
            "isLeader": self.value((id_, None, LEADER)),
            "gbsMemo": "" if number is None else self.value((None, number, "gbsMemo")),
            "lineupMemo": text,
            "lineupMemoId": memo_id,
            "lineupMemocolor": color,
            "updatedAt": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
            "revision": self.row_revisions[id_],
        }

    # -- what commands do

    def carry_out(
        self, command: Command, at: datetime, memo_ids: Iterator[int], undone: int | None
    ) -> bool | Refused:
        """Carry out a command; return whether it has changed anything, or why it could not.

        :param undone: the revision that an undo is about.
        """
        try:
            return self._carry_out(command, at, memo_ids, undone)
        except Refused as refused:
            return refused

    def _carry_out(
        self, command: Command, at: datetime, memo_ids: Iterator[int], undone: int | None
    ) -> bool:
        base = command.base_revision
        self.troubles = []
        action = command.action
        match action:
            case AssignNumber() | CreateMemo() | UpdateMemo() | DeleteMemo():
                writes = self._single(command, memo_ids)
            case _ if base is not None and not 0 <= base <= self.revision:
                raise Refused("VALIDATION_FAILED")
            case BulkAssign():
                writes = self._bulk(action, command)
            case Undo():
                writes = self._undo(action, command, undone, memo_ids)
            case _:
                writes = self._group_action(command)
        return self._write(writes, command, at, is_undo=isinstance(action, Undo))

    def _unseen(self, key: Key, command: Command, base: int | None) -> bool:
        cell = self.cell(key)
        if base is None:
            return (
                command.outside_room and cell.revision > 0 and cell.author != command.author.user_id
            )
        return cell.revision > base

    def _single(self, command: Command, memo_ids: Iterator[int]) -> dict[Key, Any]:
        action, base = command.action, command.base_revision
        if isinstance(action, AssignNumber | CreateMemo):
            id_: int | None = action.registration_id
        else:
            assert isinstance(action, UpdateMemo | DeleteMemo)
            id_ = next(
                (
                    each
                    for each in self.people
                    if (memo := self.value((each, None, MEMO))) and memo[0] == action.memo_id
                ),
                None,
            )
        if id_ not in self.people:
            raise Refused("NOT_FOUND")
        if base is not None and not 0 <= base <= self.revision:
            raise Refused("VALIDATION_FAILED")
        if isinstance(action, AssignNumber):
            key: Key = (id_, None, NUMBER)
            if self.value((id_, None, LEADER)):
                raise Refused("LEADER_LOCKED")
            new: Any = action.gbs_number
        else:
            key = (id_, None, MEMO)
            new = None if isinstance(action, DeleteMemo) else (0, action.text, action.color)
        present = self.value(key)
        same = present == new or (
            key[2] == MEMO and bool(present) and bool(new) and present[1:] == new[1:]
        )
        if same:
            return {}
        if (isinstance(action, CreateMemo) and present) or self._unseen(key, command, base):
            raise Refused("CONFLICT")
        if key[2] == MEMO and new:
            new = (present[0] if present else next(memo_ids), *new[1:])
        return {key: new}

    def _bulk(self, action: BulkAssign, command: Command) -> dict[Key, Any]:
        writes: dict[Key, Any] = {}
        malformed: list[Trouble] = []
        troubles: list[Trouble] = []
        ids = [item.registration_id for item in action.assignments]
        for index, item in enumerate(action.assignments):
            id_ = item.registration_id
            base = command.base_revision if item.base_revision is None else item.base_revision
            if id_ in ids[:index] or (base is not None and not 0 <= base <= self.revision):
                malformed.append(Trouble("VALIDATION_FAILED", index, (id_, None, None)))
                continue
            if id_ not in self.people:
                troubles.append(Trouble("NOT_FOUND", index, (id_, None, None)))
                continue
            given: dict[Key, Any] = {
                (id_, None, name): value
                for name, value in (
                    (NUMBER, item.gbs_number),
                    (LEADER, item.is_leader),
                    ("currentLeader", item.current_leader),
                    ("lineupNumber", item.lineup_number),
                )
                if isinstance(value, int | str | bool | None)
                and (name != "lineupNumber" or action.apply_lineup_number)
            }
            differing = {key: new for key, new in given.items() if self.value(key) != new}
            number = given.get((id_, None, NUMBER), self.value((id_, None, NUMBER)))
            if (id_, None, LEADER) in given:
                if given[id_, None, LEADER] and number is None:
                    troubles.append(Trouble("VALIDATION_FAILED", index, (id_, None, LEADER)))
                    continue
            elif self.value((id_, None, LEADER)) and (id_, None, NUMBER) in differing:
                troubles.append(Trouble("LEADER_LOCKED", index, (id_, None, NUMBER)))
                continue
            unseen = [key for key in differing if self._unseen(key, command, base)]
            troubles += [Trouble("CONFLICT", index, key) for key in unseen]
            if not unseen:
                writes |= differing
        if malformed or (troubles and action.on_conflict == "refuse"):
            raise _refusal([*malformed, *troubles])
        self.troubles = troubles
        return writes

    def _group_action(self, command: Command) -> dict[Key, Any]:
        action = command.action
        writes: dict[Key, Any] = {}
        if isinstance(action, CreateGroups):
            return {(None, number, EXISTS): True for number in action.gbs_numbers}
        assert isinstance(action, DeleteGroup | AssignLeaders | UnassignLeaders | SetGroupMemo)
        number = action.gbs_number
        if isinstance(action, AssignLeaders):
            users = {person.user_id: id_ for id_, person in self.people.items()}
            unknown = [
                Trouble("NOT_FOUND", index)
                for index, user in enumerate(action.user_ids)
                if user not in users
            ]
            if unknown:
                raise Refused("NOT_FOUND", unknown)
            for user in action.user_ids:
                writes[users[user], None, NUMBER] = number
                writes[users[user], None, LEADER] = True
        else:
            if not self.value((None, number, EXISTS)):
                raise Refused("NOT_FOUND")
            if isinstance(action, SetGroupMemo):
                writes[None, number, "gbsMemo"] = action.memo or ""
            else:
                for id_ in self.members(number):
                    writes[id_, None, LEADER] = False
                    if isinstance(action, DeleteGroup):
                        writes[id_, None, NUMBER] = None
            if isinstance(action, DeleteGroup):
                if action.if_empty and self.members(number):
                    raise Refused("GROUP_NOT_EMPTY")
                writes[None, number, EXISTS] = False
                writes[None, number, "gbsMemo"] = ""
        unseen = [
            Trouble("CONFLICT", None, key)
            for key, new in writes.items()
            if self.value(key) != new and self._unseen(key, command, command.base_revision)
        ]
        if unseen:
            raise Refused("CONFLICT", unseen)
        return writes

    def _undo(
        self, action: Undo, command: Command, undone: int | None, memo_ids: Iterator[int]
    ) -> dict[Key, Any]:
        if undone is None:
            raise Refused("NOT_FOUND")
        entry = self.entries[undone]
        if entry.author not in (None, command.author.user_id) and not action.by_operator:
            raise Refused("FORBIDDEN")
        back: dict[Key, Any] = {}
        troubles: list[Trouble] = []
        written = entry.written
        returning = {
            key[1] for key, (old, _, _) in written.items() if key[2] == EXISTS and old.value
        }
        for key, (old, origin, new) in written.items():
            if key[2] == EXISTS:
                continue
            cell = self.cell(key)
            free = undone in (cell.revision, cell.origin)
            # A field is free if it has the very value that the change gave it. (One that was
            # redone again since belongs to the redo and to the first change.)
            assert free == (cell.given is new) or (entry.is_undo and not free)
            number = key[1]
            gone = number is not None and number not in returning
            if gone and not self.value((None, number, EXISTS)):
                free = False
            if free:
                back[key] = (old, origin)
            else:
                troubles.append(Trouble("CONFLICT", None, key))
        free_keys = set(back)

        def untouched(key: Key) -> bool:
            return key in free_keys if key in written else self.cell(key).given is entry.left[key]

        for id_ in {key[0] for key in written if key[0] is not None}:
            number_key, leader_key = (id_, None, NUMBER), (id_, None, LEADER)
            leads = (
                back[leader_key][0] if leader_key in back else self.cell(leader_key).given
            ).value
            if leader_key in back and not untouched(number_key):
                del back[leader_key]
                if number_key not in written:
                    troubles.append(Trouble("CONFLICT", None, number_key))
            if number_key in back and leads and not untouched(leader_key):
                del back[number_key]
                if leader_key not in written:
                    troubles.append(Trouble("CONFLICT", None, leader_key))
        numbers = {id_: self.value((id_, None, NUMBER)) for id_ in self.people}
        numbers |= {
            key[0]: old.value for key, (old, _) in back.items() if key[2] == NUMBER and key[0]
        }
        for key, (old, origin, _) in written.items():
            if key[2] != EXISTS:
                continue
            cell, number = self.cell(key), key[1]
            mine = undone in (cell.revision, cell.origin)
            if old.value and not cell.given.value:
                back[key] = (old, origin)
            elif cell.given.value and not old.value:
                memo_key = (None, number, "gbsMemo")
                memo = back[memo_key][0].value if memo_key in back else self.value(memo_key)
                if mine and number not in numbers.values() and not memo:
                    back[key] = (old, origin)
                elif not any(
                    each.value == number and other[2] == NUMBER
                    for other, (_, _, each) in written.items()
                ):
                    troubles.append(Trouble("CONFLICT", None, key))
        if troubles and action.on_conflict == "refuse":
            raise _refusal(troubles)
        self.troubles = troubles
        for key, (old, origin) in list(back.items()):
            if key[2] == MEMO and old.value:
                present = self.value(key)
                renewed = copy.copy(old)
                renewed.value = (present[0] if present else next(memo_ids), *old.value[1:])
                if renewed.value != old.value:
                    old.value = renewed.value  # the same value, with the id it has from now on
                back[key] = (old, origin)
        return back

    def _write(
        self, writes: dict[Key, Any], command: Command, at: datetime, *, is_undo: bool
    ) -> bool:
        self.revision += 1
        before = {id_: self._row(id_) for id_ in self.people}
        flags = {id_: self.value((id_, None, LEADER)) for id_ in self.people}
        entry = self.entries[self.revision] = Entry(command.author.user_id, is_undo)
        missing = {
            (None, number, EXISTS): True
            for key, new in writes.items()
            if key[2] == NUMBER
            and (number := new[0].value if is_undo else new) is not None
            and (None, number, EXISTS) not in writes
        }
        touched: set[int | None] = set()
        for key, new in [*writes.items(), *missing.items()]:
            given, origin = new if is_undo and key not in missing else (Given(new), None)
            cell = self.cell(key)
            if cell.given.value == given.value:
                continue
            entry.written[key] = (cell.given, cell.origin, given)
            self.cells[key] = Cell(
                given,
                self.revision,
                command.author.user_id,
                self.revision if origin is None else origin,
            )
            if key[0] is None:
                touched.add(key[1])
            else:
                self.updated[key[0]] = at
                self.row_revisions[key[0]] = self.revision
        for id_, row in before.items():
            number = self.value((id_, None, NUMBER))
            if row["gbsNumber"] != number or flags[id_] != self.value((id_, None, LEADER)):
                touched |= {row["gbsNumber"], number}
        for id_ in self.people:
            if self.value((id_, None, NUMBER)) in touched - {None}:
                self.row_revisions[id_] = self.revision
        entry.left = {k: c.given for k, c in self.cells.items() if k[2] in (NUMBER, LEADER)}
        for id_ in self.people:
            assert not self.value((id_, None, LEADER)) or self.value((id_, None, NUMBER))
        self.past[self.revision] = self.rows()
        self.groups_at[self.revision] = self._groups()
        return bool(entry.written)


def _refusal(troubles: list[Trouble]) -> Refused:
    order = ["NOT_FOUND", "VALIDATION_FAILED", "LEADER_LOCKED", "CONFLICT"]
    return Refused(min((each.code for each in troubles), key=order.index), troubles)
