"""What becomes of what a client asks for, at one revision of a line-up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from gbs_actor.lineup.commands import (
    AssignLeaders,
    AssignNumber,
    BulkAssign,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.text import comparable, is_blank, trimmed
from gbs_actor.testing.simulation.model.argument import Asked
from gbs_actor.testing.simulation.model.cells import (
    EXISTS,
    GROUP_MEMO,
    LEADER,
    LEADER_NAME,
    LINEUP_NUMBER,
    MEMO,
    NUMBER,
    Key,
    Row,
    iso,
)
from gbs_actor.testing.simulation.model.outcome import (
    Decision,
    Refused,
    Write,
    author_shown,
    problem,
    problem_of,
    rejection,
)
from gbs_actor.testing.simulation.model.undoing import Undoing
from gbs_actor.testing.simulation.model.view import View


def decide(view: View, asked: Asked, epoch: str) -> Decision:
    """Decide a command.

    :param epoch: that of the retreat.
    """
    try:
        return _Deciding(view, asked, epoch).decide()
    except Refused as refused:
        return refused.decision


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return comparable(one) == comparable(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _same(one[0], other[0]) and one[1:] == other[1:]
    return bool(one == other)


def _is_number(value: Any, last: int) -> bool:
    return value is None or (isinstance(value, int) and 1 <= value <= last)


def _is_text(text: str, length: int) -> bool:
    surrogates = any("\ud800" <= each <= "\udfff" for each in text)
    return len(text) <= length and "\0" not in text and not surrogates


class _Deciding:
    def __init__(self, view: View, asked: Asked, epoch: str) -> None:
        self.view = view
        self.asked = asked
        self.people = view.lineup.people
        self.other_epoch = asked.epoch is not None and asked.epoch != epoch
        self.problems: list[Row] = []
        """Of what is left out."""

    def decide(self) -> Decision:
        action = self.asked.action
        if isinstance(action, AssignNumber | CreateMemo | UpdateMemo | DeleteMemo):
            return self._single(action)
        self._check_base(self.asked.base)
        undoes = None
        if isinstance(action, BulkAssign):
            writes = self._bulk(action)
        elif isinstance(action, Undo):
            undoes = self._undone(action)
            writes = self._undo(action, undoes)
        else:
            writes = self._on_groups(action)
        return Decision(
            writes=self._differing(writes), problems=tuple(self.problems), undoes=undoes
        )

    # -- what a command rests on

    def _check_base(self, base: int | None) -> None:
        if not self._has_base(base):
            raise Refused("VALIDATION_FAILED")

    def _has_base(self, base: int | None) -> bool:
        return base is None or self.other_epoch or 0 <= base <= self.view.revision

    def _unseen(self, key: Key, base: int | None) -> bool:
        cell = self.view.cell(key)
        if self.other_epoch:
            return True
        if base is not None:
            return cell.revision > base
        by_other = cell.revision > 0 and cell.author_id != self.asked.user_id
        return self.asked.outside and by_other

    def conflict(self, key: Key, index: int | None = None) -> Row:
        return problem_of("CONFLICT", index, key, self.view.cell(key))

    def _differing(self, writes: Mapping[Key, Write]) -> dict[Key, Write]:
        """Return what changes, and the groups that have to be created for it."""
        view = self.view
        found = {key: new for key, new in writes.items() if view.value(key) != new.value}
        for key, new in list(found.items()):
            group: Key = (None, new.value, EXISTS)
            joins = key[2] == NUMBER and new.value is not None
            if joins and group not in writes and not view.exists(new.value):
                found[group] = Write(True)
        return found

    # -- one field of one person

    def _single(self, action: AssignNumber | CreateMemo | UpdateMemo | DeleteMemo) -> Decision:
        view = self.view
        if isinstance(action, AssignNumber | CreateMemo):
            id_: int | None = action.registration_id
        else:
            id_ = view.memo_owner(action.memo_id)
        if id_ is None or id_ not in self.people:
            raise Refused("NOT_FOUND")
        self._check_base(self.asked.base)
        wanted: Any
        if isinstance(action, AssignNumber):
            key: Key = (id_, None, NUMBER)
            if view.value((id_, None, LEADER)):
                raise Refused("LEADER_LOCKED")
            wanted = action.gbs_number
        else:
            key = (id_, None, MEMO)
            wanted = None if isinstance(action, DeleteMemo) else (action.text, action.color)
        cell = view.cell(key)
        if _same(cell.given.value, wanted):
            return Decision(row=id_)
        second = isinstance(action, CreateMemo) and cell.given.value is not None
        if second or self._unseen(key, self.asked.base):
            conflict = {
                "field": key[2],
                "theirs": cell.shown,
                "changedBy": author_shown(cell),
                "changedAt": None if cell.at is None else iso(cell.at),
                "revision": cell.revision,
            }
            raise Refused("CONFLICT", row=id_, conflict=conflict)
        return Decision(row=id_, writes=self._differing({key: Write(wanted, cell.memo_id)}))

    # -- many

    def _bulk(self, action: BulkAssign) -> dict[Key, Write]:
        writes: dict[Key, Write] = {}
        malformed: list[Row] = []
        problems: list[Row] = []
        ids = [item.registration_id for item in action.assignments]
        for index, item in enumerate(action.assignments):
            id_, base = item.registration_id, item.base_revision
            leader_name = item.current_leader
            if isinstance(leader_name, str):
                leader_name = trimmed(leader_name)
            right = (
                id_ not in ids[:index]
                and (item.gbs_number is UNSET or _is_number(item.gbs_number, 9_999))
                and (item.lineup_number is UNSET or _is_number(item.lineup_number, 99_999))
                and (not isinstance(leader_name, str) or _is_text(leader_name, 100))
                and self._has_base(base)
            )
            if not right:
                malformed.append(problem("VALIDATION_FAILED", index, id_))
                continue
            if id_ not in self.people:
                problems.append(problem("NOT_FOUND", index, id_))
                continue
            given: dict[Key, Any] = {
                (id_, None, NUMBER): item.gbs_number,
                (id_, None, LEADER): item.is_leader,
                (id_, None, LEADER_NAME): leader_name,
            }
            if action.apply_lineup_number:
                given[id_, None, LINEUP_NUMBER] = item.lineup_number
            given = {key: new for key, new in given.items() if new is not UNSET}
            differing = {k: new for k, new in given.items() if not _same(self.view.value(k), new)}
            number = given.get((id_, None, NUMBER), self.view.value((id_, None, NUMBER)))
            if (id_, None, LEADER) in given:
                if given[id_, None, LEADER] and number is None:
                    problems.append(problem("VALIDATION_FAILED", index, id_, LEADER))
                    continue
            elif self.view.value((id_, None, LEADER)) and (id_, None, NUMBER) in differing:
                problems.append(problem("LEADER_LOCKED", index, id_, NUMBER))
                continue
            known = self.asked.base if base is None else base
            unseen = [key for key in differing if self._unseen(key, known)]
            problems += [self.conflict(key, index) for key in unseen]
            if not unseen:
                writes |= {key: Write(new) for key, new in differing.items()}
        if malformed or (problems and action.on_conflict == "refuse"):
            raise rejection([*malformed, *problems])
        self.problems = problems
        return writes

    def _on_groups(self, action: Any) -> dict[Key, Write]:
        writes: dict[Key, Any] = {}
        if isinstance(action, CreateGroups):
            return {(None, number, EXISTS): Write(True) for number in action.gbs_numbers}
        number: int = action.gbs_number
        if isinstance(action, AssignLeaders):
            users = self.view.lineup.users
            unknown = [i for i, user in enumerate(action.user_ids) if user not in users]
            if unknown:
                raise rejection([problem("NOT_FOUND", index) for index in unknown])
            for user in action.user_ids:
                writes[users[user], None, NUMBER] = number
                writes[users[user], None, LEADER] = True
        elif not self.view.exists(number):
            raise Refused("NOT_FOUND")
        elif isinstance(action, SetGroupMemo):
            memo = trimmed(action.memo or "")
            if not _is_text(memo, 500):
                raise Refused("VALIDATION_FAILED")
            memo = "" if is_blank(memo) else memo
            if not _same(memo, self.view.value((None, number, GROUP_MEMO))):
                writes[None, number, GROUP_MEMO] = memo
        else:
            assert isinstance(action, DeleteGroup | UnassignLeaders)
            members = self.view.members(number)
            for id_ in members:
                writes[id_, None, LEADER] = False
            if isinstance(action, DeleteGroup):
                if members and action.if_empty:
                    raise Refused("GROUP_NOT_EMPTY")
                writes |= {(id_, None, NUMBER): None for id_ in members}
                writes[None, number, EXISTS] = False
                writes[None, number, GROUP_MEMO] = ""
        unseen = [
            self.conflict(key)
            for key, new in writes.items()
            if self.view.value(key) != new and self._unseen(key, self.asked.base)
        ]
        if unseen:
            raise rejection(unseen)
        return {key: Write(new) for key, new in writes.items()}

    def _undone(self, action: Undo) -> int:
        """Return the revision that an undo is about."""
        lineup = self.view.lineup
        revision = action.revision
        if action.command_id is not None:
            revision = lineup.commands.get(action.command_id)
        elif self.other_epoch:
            revision = None
        if revision is None or revision not in lineup.entries or revision > self.view.revision:
            raise Refused("NOT_FOUND")
        author = lineup.entries[revision].author_id
        if author not in (None, self.asked.user_id) and not self.asked.operator:
            raise Refused("FORBIDDEN")
        return revision

    def _undo(self, action: Undo, undone: int) -> dict[Key, Write]:
        undoing = Undoing(self.view, undone)
        problems = [self.conflict(key) for key in undoing.conflicts]
        if problems and action.on_conflict == "refuse":
            raise rejection(problems)
        self.problems = problems
        return {
            key: Write(cell.given.value, undoing.memo_id(key), cell.origin)
            for key, cell in undoing.back.items()
        }
