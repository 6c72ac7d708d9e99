"""How an earlier change is undone, field by field; the undo of an undo is a redo.

A field is put back if it has the value that the undone change gave it: if the revision or the
origin of its stamp is that change's. An undo sets the origin back to what it was before the
undone change, so that older changes of the same field can be undone next.

A leader's flag is put back only in the group that it was of, and whoever leads since is not moved.
A group that the change created is deleted once nobody and no memo needs it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gbs_actor.lineup.changes import LogEntry, Problem, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Command, Kind, Undo
from gbs_actor.lineup.fields import Field, FieldKey, FieldValue, Value
from gbs_actor.lineup.plan import Plan
from gbs_actor.lineup.problems import conflict, rejection
from gbs_actor.lineup.records import Memo
from gbs_actor.lineup.state import State


class MemoIdsExhausted(RuntimeError):
    """The reserved memo ids are used up; the draft is as it was before the command."""


def plan_undo(
    action: Undo, command: Command, state: State, entry: LogEntry, memo_ids: Iterator[int]
) -> Plan | Rejection:
    """Plan to put back what an entry of the log has changed, or with "skip" what can be.

    :param entry: of the change to undo.
    :param memo_ids: fresh ids; each memo that is created again takes one.
    :raises MemoIdsExhausted: a memo is to be created and no id is left for it.
    """
    if entry.kind is Kind.EXTERNAL:
        message = "What other programs have changed cannot be undone"
        return Rejection(Code.VALIDATION_FAILED, message)
    author = entry.author_id
    if author not in (None, command.author.user_id) and not action.by_operator:
        return Rejection(Code.FORBIDDEN, "Others' changes are undone by operators only")
    undo = _Undo(state, entry)
    undo.put_back_fields()
    undo.keep_leaders_in_groups()
    undo.put_back_groups()
    if undo.problems and action.on_conflict == "refuse":
        return rejection(undo.problems)
    undo.renew_memos(memo_ids)
    undo.plan.skipped = tuple(undo.problems)
    undo.plan.undoes = entry.revision
    return undo.plan


class _Undo:
    """One undo that is being planned."""

    def __init__(self, state: State, entry: LogEntry) -> None:
        self._state = state
        self._entry = entry
        self._written = list(entry.written())
        self._written_keys = {before.key for before, _ in self._written}
        self.plan = Plan()
        self.problems: list[Problem] = []

    def put_back_fields(self) -> None:
        """Plan the former value of each field that has the value of the change."""
        restored = {
            before.gbs_number
            for before, _ in self._written
            if before.field is Field.EXISTS and before.value
        }
        for before, _ in self._written:
            id_, number, field = key = before.key
            if field is Field.EXISTS:
                continue
            if id_ is not None and self._state.registrations.get(id_) is None:
                message = f"There is no line-up row {id_}"
                self.problems.append(
                    Problem(Code.NOT_FOUND, message, registration_id=id_, field=field)
                )
                continue
            value, stamp = self._state.field(key)
            gone = number is not None and not (self._state.has_group(number) or number in restored)
            if gone or not stamp.is_of(self._entry.revision):
                self.problems.append(conflict(key, value, stamp))
            else:
                self._plan(before)

    def keep_leaders_in_groups(self) -> None:
        """Move nobody who leads since, and let nobody lead a group that they are in since."""
        left = {after.key: after for after in self._entry.after}
        planned = self.plan.values
        for id_ in {id_ for id_, _, _ in planned if id_ is not None}:
            number, flag = (id_, None, Field.GBS_NUMBER), (id_, None, Field.IS_LEADER)
            moved = not self._is_as_left(left.get(number))
            leads = self._outcome(flag) and not self._is_as_left(left.get(flag))
            for key, other, changed in ((flag, number, moved), (number, flag, leads)):
                if (
                    changed
                    and planned.pop(key, None) is not None
                    and other not in self._written_keys
                ):
                    self.problems.append(conflict(other, *self._state.field(other)))

    def put_back_groups(self) -> None:
        """Plan to create the groups again that were deleted, and to delete those created."""
        filled = {after.value for _, after in self._written if after.field is Field.GBS_NUMBER}
        for before, _ in self._written:
            if before.field is not Field.EXISTS:
                continue
            assert before.gbs_number is not None
            exists, stamp = self._state.field(before.key)
            unchanged = stamp.is_of(self._entry.revision)
            if before.value and not exists:
                self._plan(before)
            elif exists and not before.value:
                if unchanged and not self._is_used(before.gbs_number):
                    self._plan(before)
                elif before.gbs_number not in filled:
                    # It was created for itself and not for those who were put into it.
                    self.problems.append(conflict(before.key, exists, stamp))

    def renew_memos(self, memo_ids: Iterator[int]) -> None:
        """Give the planned memos the ids of those that are there, or fresh ones."""
        for key, new in self.plan.values.items():
            if not isinstance(new.value, Memo):
                continue
            present, _ = self._state.field(key)
            id_ = present.id if isinstance(present, Memo) else next(memo_ids, None)
            if id_ is None:
                raise MemoIdsExhausted("no reserved memo id is left")
            memo = Memo(id_, new.value.text, new.value.color)
            self.plan.put(key, memo, new.restored_origin)

    def _plan(self, before: FieldValue) -> None:
        self.plan.put(before.key, before.value, before.origin)

    def _is_as_left(self, after: FieldValue | None) -> bool:
        """Whether a field has the very value that the change gave it, or found and left."""
        if after is None:
            return False
        if after.key in self._written_keys:
            return after.key in self.plan.values
        value, stamp = self._state.field(after.key)
        return (value, stamp.origin) == (after.value, after.origin)

    def _outcome(self, key: FieldKey) -> Value:
        """Return the value of a field after the undo."""
        new = self.plan.values.get(key)
        return self._state.field(key)[0] if new is None else new.value

    def _is_used(self, number: int) -> bool:
        """Whether a group that the change created has members or a memo after the undo."""
        if self._outcome((None, number, Field.GBS_MEMO)):
            return True
        members = self._state.members.get(number) or ()
        return any((id_, None, Field.GBS_NUMBER) not in self.plan.values for id_ in members)
