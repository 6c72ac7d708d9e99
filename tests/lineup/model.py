"""A line-up as plain dicts, recomputed from scratch after every command.

It knows nothing of drafts, overlays or indexes, and it does not compute revisions from
stamps: a row has the revision at which it last read differently. So it agrees with the
board only if the board's short cuts are right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unicodedata import normalize

import msgspec

from gbs_actor.lineup.commands import AssignNumber, Command, CreateMemo, DeleteMemo, SingleAction
from gbs_actor.lineup.records import Gender, Retreat
from gbs_actor.lineup.rules import InvalidValue, clean_memo

ModelRow = dict[str, Any]


@dataclass
class ModelPerson:
    fixed: ModelRow
    number: int | None
    memo: tuple[int, str, str] | None
    number_changed: int
    memo_changed: int
    number_author: int | None
    memo_author: int | None
    updated_at: datetime


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


class Model:
    def __init__(self, retreat: Retreat, revisions: dict[int, int]) -> None:
        """:param revisions: the rows' revisions at the start, by registration id."""
        self.revision = retreat.revision
        self.epoch = retreat.epoch
        self.group_memos = {number: group.memo for number, group in retreat.groups.items()}
        self.people = {
            each.id: ModelPerson(
                fixed={
                    "id": each.id,
                    "userId": each.person.user_id,
                    "univGroupId": each.person.univ_group_id,
                    "univGroupNumber": each.person.univ_group_number,
                    "gradeId": each.person.grade_id,
                    "gradeNumber": each.person.grade_number,
                    "gender": each.person.gender,
                    "name": each.person.name,
                    "phoneNumber": each.person.phone_number,
                    "currentLeader": each.current_leader,
                    "isLeader": each.is_leader,
                    "isFullAttendance": each.person.is_full_attendance,
                    "userType": each.person.user_type,
                    "userRetreatRegistrationScheduleIds": each.person.schedule_ids,
                    "createdAt": _iso(each.person.created_at),
                    "unresolvedLineupHistoryMemo": None,
                    "adminMemo": None,
                },
                number=each.gbs_number,
                memo=None if each.memo is None else (each.memo.id, each.memo.text, each.memo.color),
                number_changed=each.number_stamp.revision,
                memo_changed=each.memo_stamp.revision,
                number_author=each.number_stamp.author_id,
                memo_author=each.memo_stamp.author_id,
                updated_at=each.updated_at,
            )
            for each in retreat.registrations
        }
        self.revisions = dict(revisions)

    def rows(self) -> list[ModelRow]:
        """All rows in list order, in the form that JSON has them."""
        rows = [row | {"revision": self.revisions[row["id"]]} for row in self._contents()]
        assigned = [row for row in rows if row["gbsNumber"] is not None]
        others = [row for row in rows if row["gbsNumber"] is None]
        for part in (assigned, others):
            part.sort(key=lambda row: row["id"])
            part.sort(key=lambda row: normalize("NFC", row["name"]))
            part.sort(key=lambda row: row["gradeNumber"], reverse=True)
        assigned.sort(key=lambda row: not row["isLeader"])
        assigned.sort(key=lambda row: row["gbsNumber"])
        return assigned + others

    def _contents(self) -> list[ModelRow]:
        return [self._content(person) for person in self.people.values()]

    def _content(self, person: ModelPerson) -> ModelRow:
        group = [
            other.fixed
            for other in self.people.values()
            if person.number is not None and other.number == person.number
        ]
        memo_id, text, color = person.memo or (None, "", "")
        return person.fixed | {
            "gbsNumber": person.number,
            "totalCount": len(group),
            "maleCount": sum(each["gender"] is Gender.MALE for each in group),
            "femaleCount": sum(each["gender"] is Gender.FEMALE for each in group),
            "fullAttendanceCount": sum(each["isFullAttendance"] for each in group),
            "partialAttendanceCount": sum(not each["isFullAttendance"] for each in group),
            "gbsMemo": "" if person.number is None else self.group_memos.get(person.number, ""),
            "lineupMemo": text,
            "lineupMemoId": memo_id,
            "lineupMemocolor": color,
            "updatedAt": _iso(person.updated_at),
        }

    def step(self, command: Command, at: datetime, next_memo_id: int) -> str:
        """Carry out a command.

        Returns "changed", "unchanged" or the code it is refused with.
        """
        before = {row["id"]: row for row in self._contents()}
        result = self._step(command, at, next_memo_id)
        if result in {"changed", "unchanged"}:
            self.revision += 1
        for row in self._contents():
            if row != before[row["id"]]:
                self.revisions[row["id"]] = self.revision
        return result

    def _step(self, command: Command, at: datetime, next_memo_id: int) -> str:
        action = command.action
        assert isinstance(action, SingleAction)
        if isinstance(action, AssignNumber | CreateMemo):
            person = self.people.get(action.registration_id)
        else:
            owners = [
                each
                for each in self.people.values()
                if each.memo is not None and each.memo[0] == action.memo_id
            ]
            person = owners[0] if owners else None
        if person is None:
            return "NOT_FOUND"
        base = command.base_revision
        author = command.author.user_id
        lost = command.epoch not in (None, self.epoch)

        def unseen(changed: int, by: int | None) -> bool:
            if base is None:
                return lost or (command.outside_room and changed > 0 and by != author)
            return lost or changed > base

        if base is not None and not lost and (base < 0 or base > self.revision):
            return "VALIDATION_FAILED"
        if isinstance(action, AssignNumber):
            if action.gbs_number is not None and not 1 <= action.gbs_number <= 9999:
                return "VALIDATION_FAILED"
            if person.fixed["isLeader"]:
                return "LEADER_LOCKED"
            if action.gbs_number == person.number:
                return "unchanged"
            if unseen(person.number_changed, person.number_author):
                return "CONFLICT"
            person.number = action.gbs_number
            person.number_changed = self.revision + 1
            person.number_author = author
            person.updated_at = at
            return "changed"

        wanted: tuple[str, str] | None = None
        if not isinstance(action, DeleteMemo):
            try:
                wanted = clean_memo(action.text, action.color)
            except InvalidValue:
                return "VALIDATION_FAILED"
        current = None if person.memo is None else person.memo[1:]
        if _composed(wanted) == _composed(current):
            return "unchanged"
        if isinstance(action, CreateMemo) and current is not None:
            return "CONFLICT"
        if unseen(person.memo_changed, person.memo_author):
            return "CONFLICT"
        if wanted is None:
            person.memo = None
        else:
            person.memo = (person.memo[0] if person.memo else next_memo_id, *wanted)
        person.memo_changed = self.revision + 1
        person.memo_author = author
        person.updated_at = at
        return "changed"


def _composed(memo: tuple[str, str] | None) -> tuple[str, str] | None:
    return None if memo is None else (normalize("NFC", memo[0]), memo[1])


def as_model_row(row: msgspec.Struct) -> ModelRow:
    """A row in the form that the model has it."""
    built: ModelRow = msgspec.to_builtins(row, builtin_types=(tuple,))
    return built
