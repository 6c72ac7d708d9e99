"""What a line-up was at its revisions: fields, rows and groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.records import Gender, Person
from gbs_actor.lineup.text import comparable
from gbs_actor.testing.simulation.model.cells import (
    EXISTS,
    GROUP_MEMO,
    LEADER,
    LEADER_NAME,
    MEMO,
    NUMBER,
    Cell,
    Given,
    Key,
    Row,
    Written,
)
from gbs_actor.testing.simulation.model.timeline import Timeline

_NO_GROUP: Final = Timeline(Cell(Given(False)))
_NO_TEXT: Final = Timeline(Cell(Given("")))


@dataclass(slots=True, eq=False)
class Revisions:
    """What a line-up was at each of its revisions."""

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
    fixed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What no command changes of the rows."""
    updated: dict[int, Timeline[str]] = field(default_factory=dict)
    """The times of the last changes, as rows write them."""
    built: dict[tuple[int, int], Row] = field(default_factory=dict)
    """Rows, by id and revision; each is built when it is first asked for."""
    built_own: dict[tuple[int, int, int], Row] = field(default_factory=dict)
    """The same for the batch form, by the revision of their own fields, too."""
    _views: dict[int, View] = field(default_factory=dict, repr=False)

    def view(self, revision: int) -> View:
        """Return the line-up at a revision; that must be there."""
        view = self._views.get(revision)
        if view is None:
            view = self._views[revision] = View(self, revision)
        return view


class View:
    """A line-up at one revision."""

    __slots__ = ("_counts", "_lists", "lineup", "revision")

    def __init__(self, lineup: Revisions, revision: int) -> None:
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
        row = lineup.built.get((id_, revision))
        if row is None:
            at = lineup.view(revision) if revision <= self.revision else self
            row = lineup.built[id_, revision] = at._build(id_, revision)
        if not batched:
            return row
        own = lineup.own_revisions[id_].at(self.revision)
        if own == revision:
            return row
        shown = lineup.built_own.get((id_, revision, own))
        if shown is None:
            shown = lineup.built_own[id_, revision, own] = {**row, "revision": own}
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
            **self.lineup.fixed[id_],
            **self._shown(number),
            "gbsNumber": number,
            "currentLeader": self.value((id_, None, LEADER_NAME)),
            "isLeader": self.value((id_, None, LEADER)),
            "lineupMemo": text,
            "lineupMemoId": memo.memo_id,
            "lineupMemocolor": color,
            "updatedAt": self.lineup.updated[id_].at(self.revision),
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
