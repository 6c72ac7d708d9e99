"""A line-up at every one of its revisions, as one log entry after the other has made it.

Each value that a field was ever given is an object of its own, so that whether a field has the very
value that some change gave it is a question of identity. Totals are counted anew for each row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.fields import FieldValue
from gbs_actor.lineup.records import Gender, Memo, Person, Retreat, Stamp
from gbs_actor.lineup.text import comparable
from gbs_actor.testing.simulation.model.timeline import Timeline

Row = Mapping[str, Any]
"""A row, or a group of the batch form, as on the wire."""
Key = tuple[int | None, int | None, str]
"""A registration's id or a group's number, and the name of the field."""
NUMBER: Final = "gbsNumber"
LEADER: Final = "isLeader"
LEADER_NAME: Final = "currentLeader"
LINEUP_NUMBER: Final = "lineupNumber"
MEMO: Final = "lineupMemo"
GROUP_MEMO: Final = "gbsMemo"
EXISTS: Final = "exists"


@dataclass(eq=False, slots=True)
class Given:
    """A value that a change gave to a field; of a memo, text and colour."""

    value: Any


@dataclass(frozen=True, slots=True)
class Cell:
    """What a field holds, and who has changed it last."""

    given: Given
    revision: int = 0
    author_id: int | None = None
    author_name: str = ""
    at: datetime | None = None
    origin: int = 0
    """Of the value: the revision that first gave it."""
    memo_id: int | None = None

    @property
    def shown(self) -> Any:
        """The value as on the wire."""
        value = self.given.value
        if self.memo_id is None:
            return value
        return {"memoId": self.memo_id, "memo": value[0], "color": value[1]}


_NO_GROUP: Final = Timeline(Cell(Given(False)))
_NO_TEXT: Final = Timeline(Cell(Given("")))


@dataclass(frozen=True, slots=True)
class Written:
    """What a change has made of a field."""

    before: Cell
    after: Cell


@dataclass(slots=True)
class Lineup:
    """A retreat at each revision from the given one on.

    :param retreat: where the log begins.
    """

    retreat: Retreat
    revision: int = 0
    """The last."""
    people: dict[int, Person] = field(default_factory=dict)
    users: dict[int, int] = field(default_factory=dict)
    """Registrations, by the user's id."""
    cells: dict[Key, Timeline[Cell]] = field(default_factory=dict)
    entries: dict[int, LogEntry] = field(default_factory=dict)
    written: dict[int, dict[Key, Written]] = field(default_factory=dict)
    """What each change has written, by revision."""
    own: dict[int, list[int]] = field(default_factory=dict)
    """Registrations whose own fields a revision has changed."""
    touched: dict[int, list[int]] = field(default_factory=dict)
    """Those whose rows read differently since a revision."""
    groups_touched: dict[int, list[int]] = field(default_factory=dict)
    commands: dict[UUID, int] = field(default_factory=dict)
    """Revisions, by the ids of the commands."""
    row_revisions: dict[int, Timeline[int]] = field(default_factory=dict)
    own_revisions: dict[int, Timeline[int]] = field(default_factory=dict)
    group_revisions: dict[int, Timeline[int]] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Entries that do not fit those before, by revision."""
    _fixed: dict[int, dict[str, Any]] = field(default_factory=dict)
    _updated: dict[int, Timeline[str]] = field(default_factory=dict)
    _rows: dict[tuple[int, int], Row] = field(default_factory=dict)
    _own_rows: dict[tuple[int, int, int], Row] = field(default_factory=dict)
    _views: dict[int, View] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.revision = self.retreat.revision
        for number, group in self.retreat.groups.items():
            self._begin((None, number, EXISTS), not group.deleted, group.stamp)
            self._begin((None, number, GROUP_MEMO), group.memo, group.memo_stamp)
            self.group_revisions[number] = Timeline(group.revision)
        for each in self.retreat.registrations:
            id_, memo = each.id, each.memo
            self.people[id_] = each.person
            self.users[each.person.user_id] = id_
            self._fixed[id_] = _fixed(id_, each.person)
            self._updated[id_] = Timeline(iso(each.updated_at))
            self._begin((id_, None, NUMBER), each.gbs_number, each.number_stamp)
            self._begin((id_, None, LEADER), each.is_leader, each.leader_stamp)
            self._begin((id_, None, LEADER_NAME), each.current_leader, each.current_leader_stamp)
            self._begin((id_, None, LINEUP_NUMBER), each.lineup_number, each.lineup_number_stamp)
            self._begin((id_, None, MEMO), memo, each.memo_stamp)
            joined = each.gbs_number
            if joined is not None and joined not in self.group_revisions:
                self._begin((None, joined, EXISTS), True, Stamp())
                self.group_revisions[joined] = Timeline(0)
            stamps = [self.cells[id_, None, name].at(0).revision for name in _OWN]
            own = max(each.row_revision, *stamps)
            self.own_revisions[id_] = Timeline(own)
            group_revision = 0 if joined is None else self.group_revisions[joined].at(0)
            self.row_revisions[id_] = Timeline(max(own, group_revision))

    def _begin(self, key: Key, value: Any, stamp: Stamp) -> None:
        given, memo_id = _split(value)
        cell = Cell(
            Given(given),
            stamp.revision,
            stamp.author_id,
            stamp.author_name,
            stamp.at,
            stamp.origin,
            memo_id,
        )
        self.cells[key] = Timeline(cell)

    def view(self, revision: int) -> View:
        """Return the line-up at a revision; that must be there."""
        view = self._views.get(revision)
        if view is None:
            view = self._views[revision] = View(self, revision)
        return view

    def add(self, entry: LogEntry) -> None:
        """Follow the log by an entry; one that is not the next is no part of the line-up."""
        revision = entry.revision
        if revision != self.revision + 1:
            return
        former = self.view(self.revision)
        self.entries[revision] = entry
        self.commands.setdefault(entry.command_id, revision)
        written = self.written[revision] = self._written(former, entry)
        self.revision = revision
        own: dict[int, None] = {}
        groups: dict[int, None] = {}
        for key, change in written.items():
            id_, number, name = key
            if id_ is None:
                assert number is not None
                groups[number] = None
                timeline = self.cells.get(key)
                if timeline is None:
                    timeline = self.cells[key] = Timeline(change.before)
                timeline.put(revision, change.after)
                continue
            own[id_] = None
            self.cells[key].put(revision, change.after)
            if name in (NUMBER, LEADER):
                groups[former.value((id_, None, NUMBER))] = None
                groups[self.view(revision).value((id_, None, NUMBER))] = None
        self._note(revision, own, {n: None for n in groups if n is not None}, iso(entry.at))

    def _written(self, former: View, entry: LogEntry) -> dict[Key, Written]:
        written: dict[Key, Written] = {}
        undone = self.written.get(entry.undoes or 0, {})
        for before, after in zip(entry.before, entry.after, strict=False):
            key: Key = (after.registration_id, after.gbs_number, str(after.field))
            if before.key != after.key or (key[0] is not None and key[0] not in self.people):
                self.faults.append((entry.revision, f"is no change of a field: {before}, {after}"))
                continue
            cell = former.cell(key)
            self._compare(entry, cell, before)
            if before.value == after.value:
                continue
            value, memo_id = _split(after.value)
            given, origin = Given(value), entry.revision
            if key in undone and undone[key].before.given.value == value:
                given, origin = undone[key].before.given, undone[key].before.origin
            if after.origin != origin:
                message = f"has {after.origin} as the origin of {key}, not {origin}"
                self.faults.append((entry.revision, message))
            author, name = entry.author_id, entry.author_name
            changed = Cell(given, entry.revision, author, name, entry.at, origin, memo_id)
            written[key] = Written(cell, changed)
        return written

    def _compare(self, entry: LogEntry, cell: Cell, before: FieldValue) -> None:
        if (cell.given.value, cell.memo_id) != _split(before.value) or cell.origin != before.origin:
            self.faults.append(
                (entry.revision, f"does not rest on {cell.shown!r}, but on {before}")
            )

    def _note(self, revision: int, own: dict[int, None], groups: dict[int, None], at: str) -> None:
        """Note what reads differently since a revision."""
        touched = dict(own)
        for number in groups:
            self.group_revisions.setdefault(number, Timeline(0)).put(revision, revision)
        if groups:
            for id_ in self.people:
                if self.cells[id_, None, NUMBER].at(revision).given.value in groups:
                    touched[id_] = None
        for id_ in own:
            self.own_revisions[id_].put(revision, revision)
            self._updated[id_].put(revision, at)
        for id_ in touched:
            self.row_revisions[id_].put(revision, revision)
        self.own[revision] = list(own)
        self.touched[revision] = list(touched)
        self.groups_touched[revision] = sorted(groups)


class View:
    """A line-up at one revision."""

    __slots__ = ("_counts", "_lists", "lineup", "revision")

    def __init__(self, lineup: Lineup, revision: int) -> None:
        self.lineup = lineup
        self.revision = revision
        self._counts: dict[int | None, dict[str, Any]] = {}
        self._lists: dict[bool, list[Row]] = {}

    # -- fields

    def cell(self, key: Key) -> Cell:
        """Return a field of somebody who is registered, or of any group."""
        timeline = self.lineup.cells.get(key)
        if timeline is None:
            timeline = _NO_GROUP if key[2] == EXISTS else _NO_TEXT
        return timeline.at(self.revision)

    def value(self, key: Key) -> Any:
        """Return the value of a field."""
        return self.cell(key).given.value

    def exists(self, number: int) -> bool:
        """Whether there is a group with a number."""
        return bool(self.value((None, number, EXISTS)))

    def members(self, number: int) -> list[int]:
        """Return who is in a group."""
        return [id_ for id_ in self.lineup.people if self.value((id_, None, NUMBER)) == number]

    def memo_owner(self, memo_id: int) -> int | None:
        """Return who has a memo."""
        for id_ in self.lineup.people:
            if self.cell((id_, None, MEMO)).memo_id == memo_id:
                return id_
        return None

    # -- as on the wire

    def row(self, id_: int, *, batched: bool = False) -> Row:
        """Return a row; in the batch form it has the revision of its own fields."""
        lineup = self.lineup
        revision = lineup.row_revisions[id_].at(self.revision)
        row = lineup._rows.get((id_, revision))
        if row is None:
            at = lineup.view(revision) if revision <= self.revision else self
            row = lineup._rows[id_, revision] = at._build(id_, revision)
        if not batched:
            return row
        own = lineup.own_revisions[id_].at(self.revision)
        if own == revision:
            return row
        shown = lineup._own_rows.get((id_, revision, own))
        if shown is None:
            shown = lineup._own_rows[id_, revision, own] = {**row, "revision": own}
        return shown

    def group(self, number: int) -> Row:
        """Return a group as the batch form has it."""
        revision = self.lineup.group_revisions[number].at(self.revision)
        if not self.exists(number):
            return {"gbsNumber": number, "revision": revision, "deleted": True}
        return {"gbsNumber": number, "revision": revision, **self._shown(number)}

    def rows(self, *, batched: bool = False) -> list[Row]:
        """Return all rows in list order."""
        rows = self._lists.get(batched)
        if rows is None:
            rows = [self.row(id_, batched=batched) for id_ in self.lineup.people]
            rows.sort(key=lambda row: int(row["id"]))
            rows.sort(key=lambda row: comparable(row["name"]))
            rows.sort(key=lambda row: int(row["gradeNumber"]), reverse=True)
            rows.sort(key=lambda row: row["gbsNumber"] is None or not row["isLeader"])
            rows.sort(key=lambda row: (row["gbsNumber"] is None, row["gbsNumber"] or 0))
            self._lists[batched] = rows
        return rows

    def _build(self, id_: int, revision: int) -> Row:
        number = self.value((id_, None, NUMBER))
        memo = self.cell((id_, None, MEMO))
        text, color = memo.given.value or ("", "")
        return {
            **self.lineup._fixed[id_],
            **self._shown(number),
            "gbsNumber": number,
            "currentLeader": self.value((id_, None, LEADER_NAME)),
            "isLeader": self.value((id_, None, LEADER)),
            "lineupMemo": text,
            "lineupMemoId": memo.memo_id,
            "lineupMemocolor": color,
            "updatedAt": self.lineup._updated[id_].at(self.revision),
            "revision": revision,
        }

    def _shown(self, number: int | None) -> dict[str, Any]:
        """Return what rows show of a group."""
        shown = self._counts.get(number)
        if shown is None:
            people = self.lineup.people
            group = [] if number is None else [people[id_] for id_ in self.members(number)]
            genders = Counter(each.gender for each in group)
            full = sum(each.is_full_attendance for each in group)
            shown = self._counts[number] = {
                "totalCount": len(group),
                "maleCount": genders[Gender.MALE],
                "femaleCount": genders[Gender.FEMALE],
                "fullAttendanceCount": full,
                "partialAttendanceCount": len(group) - full,
                "gbsMemo": "" if number is None else self.value((None, number, GROUP_MEMO)),
            }
        return shown


_OWN: Final = (NUMBER, LEADER, LEADER_NAME, LINEUP_NUMBER, MEMO)


def iso(moment: datetime) -> str:
    """Return a moment, in UTC, as rows write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _split(value: Any) -> tuple[Any, int | None]:
    """Return a value of the log; of a memo its text and colour, and apart from them its id."""
    return ((value.text, value.color), value.id) if isinstance(value, Memo) else (value, None)


def _fixed(id_: int, person: Person) -> dict[str, Any]:
    """Return what no command changes of a row."""
    return {
        "id": id_,
        "userId": person.user_id,
        "univGroupId": person.univ_group_id,
        "univGroupNumber": person.univ_group_number,
        "gradeId": person.grade_id,
        "gradeNumber": person.grade_number,
        "gender": str(person.gender),
        "name": person.name,
        "phoneNumber": person.phone_number,
        "isFullAttendance": person.is_full_attendance,
        "userType": None if person.user_type is None else str(person.user_type),
        "userRetreatRegistrationScheduleIds": list(person.schedule_ids),
        "createdAt": iso(person.created_at),
        "unresolvedLineupHistoryMemo": person.unresolved_lineup_history_memo,
        "adminMemo": person.admin_memo,
    }
