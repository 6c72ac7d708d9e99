"""A line-up at every one of its revisions, as one log entry after the other has made it.

Each value that a field was ever given is an object of its own, so that whether a field has the very
value that some change gave it is a question of identity. Totals are counted anew for each row.
"""

from __future__ import annotations

from typing import Any

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.fields import FieldValue
from gbs_actor.lineup.records import Person, Retreat, Stamp
from gbs_actor.testing.simulation.model.cells import (
    EXISTS,
    GROUP_MEMO,
    LEADER,
    LEADER_NAME,
    LINEUP_NUMBER,
    MEMO,
    NUMBER,
    OWN,
    Cell,
    Given,
    Key,
    Written,
    iso,
    split,
)
from gbs_actor.testing.simulation.model.timeline import Timeline
from gbs_actor.testing.simulation.model.view import Revisions, View


class Lineup(Revisions):
    """A retreat at each revision from the given one on.

    :param retreat: where the log begins.
    """

    __slots__ = ("retreat",)

    def __init__(self, retreat: Retreat) -> None:
        super().__init__(retreat.revision)
        self.retreat = retreat
        for number, group in retreat.groups.items():
            self._begin((None, number, EXISTS), not group.deleted, group.stamp)
            self._begin((None, number, GROUP_MEMO), group.memo, group.memo_stamp)
            self.group_revisions[number] = Timeline(group.revision)
        for each in retreat.registrations:
            id_, memo = each.id, each.memo
            self.people[id_] = each.person
            self.users[each.person.user_id] = id_
            self.fixed[id_] = _fixed(id_, each.person)
            self.updated[id_] = Timeline(iso(each.updated_at))
            self._begin((id_, None, NUMBER), each.gbs_number, each.number_stamp)
            self._begin((id_, None, LEADER), each.is_leader, each.leader_stamp)
            self._begin((id_, None, LEADER_NAME), each.current_leader, each.current_leader_stamp)
            self._begin((id_, None, LINEUP_NUMBER), each.lineup_number, each.lineup_number_stamp)
            self._begin((id_, None, MEMO), memo, each.memo_stamp)
            joined = each.gbs_number
            if joined is not None and joined not in self.group_revisions:
                self._begin((None, joined, EXISTS), True, Stamp())
                self.group_revisions[joined] = Timeline(0)
            stamps = [self.cells[id_, None, name].at(0).revision for name in OWN]
            own = max(each.row_revision, *stamps)
            self.own_revisions[id_] = Timeline(own)
            group_revision = 0 if joined is None else self.group_revisions[joined].at(0)
            self.row_revisions[id_] = Timeline(max(own, group_revision))

    def _begin(self, key: Key, value: Any, stamp: Stamp) -> None:
        given, memo_id = split(value)
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
            value, memo_id = split(after.value)
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
        if (cell.given.value, cell.memo_id) != split(before.value) or cell.origin != before.origin:
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
            self.updated[id_].put(revision, at)
        for id_ in touched:
            self.row_revisions[id_].put(revision, revision)
        self.own[revision] = list(own)
        self.touched[revision] = list(touched)
        self.groups_touched[revision] = sorted(groups)


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
