"""Deciding commands one after the other, before any of them is durable."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from gbs_actor.lineup.basis import check_base, is_of_other_epoch, is_unseen
from gbs_actor.lineup.bulk import plan_bulk
from gbs_actor.lineup.changes import Change, Conflict, LogEntry, Rejection, fence
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    AssignNumber,
    Author,
    BulkAssign,
    Command,
    CreateMemo,
    DeleteMemo,
    Kind,
    PlannedAction,
    Undo,
    UpdateMemo,
    kind_of,
    request_bytes,
)
from gbs_actor.lineup.fields import Field, FieldValue, Value
from gbs_actor.lineup.groups import plan_groups
from gbs_actor.lineup.plan import change_of
from gbs_actor.lineup.problems import author_shown
from gbs_actor.lineup.records import Group, Memo, Registration, Row, Stamp
from gbs_actor.lineup.row import (
    NOBODY,
    iso_utc,
    moved,
    regrouped,
    rewritten,
    sort_key,
    totals_of,
)
from gbs_actor.lineup.rules import InvalidValue, check_number, clean_memo, is_same_memo
from gbs_actor.lineup.state import State
from gbs_actor.lineup.undo import MemoIdsExhausted, plan_undo


class Draft:
    """What a board would be after a number of commands; the board itself stays as it is.

    Made by :meth:`Board.draft() <gbs_actor.lineup.board.Board.draft>`, and of use until
    the board takes over a change that is not this draft's.
    """

    __slots__ = ("_at", "_at_written", "_epoch", "_memo_ids", "_state")

    def __init__(self, state: State, epoch: str, memo_ids: Iterator[int]) -> None:
        self._state = state
        self._epoch = epoch
        self._memo_ids = memo_ids
        self._at: datetime | None = None
        self._at_written = ""

    @property
    def revision(self) -> int:
        """The revision after the changes decided so far."""
        return self._state.revision

    def row(self, registration_id: int) -> Row | None:
        """Return a row as it is after the changes decided so far."""
        return self._state.rows.get(registration_id)

    def own_revision(self, registration_id: int) -> int | None:
        """Return the revision of a registration's own fields, after the changes decided so far."""
        registration = self._state.registrations.get(registration_id)
        return None if registration is None else registration.revision

    def memo_owner(self, memo_id: int) -> int | None:
        """Return the id of the registration that has this memo, if the memo exists."""
        return self._state.memo_owners.get(memo_id)

    def decide(
        self, command: Command, at: datetime, undone: LogEntry | None = None
    ) -> Change | Rejection:
        """Decide a command on top of the outcomes of those before it.

        The work is in the size of the groups touched. Whatever goes wrong, a rejected
        or failed command leaves the draft as it was.

        :param at: the moment of the change; aware.
        :param undone: the entry of the log that an undo is about, if there is one.
        :return: the change, with the next revision; or why there is none, checked in the
            order NOT_FOUND, VALIDATION_FAILED, LEADER_LOCKED, CONFLICT.
        :raises MemoIdsExhausted: a memo is to be created and no id is left for it.
        """
        try:
            outcome = self._decide(command, at, undone)
        except InvalidValue as error:
            return Rejection(Code.VALIDATION_FAILED, str(error))
        if isinstance(outcome, Change):
            self._state.install(outcome)
        return outcome

    def fence(self, command_id: UUID, at: datetime) -> Change:
        """Take a revision that changes nothing, so that a late commit finds it gone."""
        change = fence(self._state.revision + 1, command_id, at)
        self._state.install(change)
        return change

    def _decide(
        self, command: Command, at: datetime, undone: LogEntry | None
    ) -> Change | Rejection:
        action = command.action
        match action:
            case AssignNumber():
                return self._assign(command, action, at)
            case CreateMemo():
                return self._create_memo(command, action, at)
            case UpdateMemo():
                return self._update_memo(command, action, at)
            case DeleteMemo():
                return self._delete_memo(command, action, at)
            case _:
                return self._carry_out(command, action, at, undone)

    def _carry_out(
        self, command: Command, action: PlannedAction, at: datetime, undone: LogEntry | None
    ) -> Change | Rejection:
        """Decide an action that may change many fields."""
        state, epoch = self._state, self._epoch
        self._check_base(command)
        match action:
            case BulkAssign():
                plan = plan_bulk(action, command, state, epoch)
            case Undo():
                if undone is None or (
                    action.revision is not None and is_of_other_epoch(command, epoch)
                ):
                    return Rejection(Code.NOT_FOUND, "There is no such change")
                plan = plan_undo(action, command, state, undone, self._memo_ids)
            case _:
                plan = plan_groups(action, command, state, epoch)
        if isinstance(plan, Rejection):
            return plan
        return change_of(plan, state, command, at)

    # -- the actions on one field of one person

    def _assign(self, command: Command, action: AssignNumber, at: datetime) -> Change | Rejection:
        registration = self._state.registrations.get(action.registration_id)
        if registration is None:
            return _no_registration(action.registration_id)
        self._check_base(command)
        wanted = check_number(action.gbs_number)
        if registration.is_leader:
            return Rejection(
                Code.LEADER_LOCKED, f"{registration.person.name} leads a group and stays in it"
            )
        left, former = registration.gbs_number, registration.number_stamp
        if left == wanted:
            found = (FieldValue(Field.GBS_NUMBER, left, former.origin, registration.id),)
            return self._unchanged(command, registration, found, at)
        if self._is_unseen(former, command):
            return self._conflict(registration, Field.GBS_NUMBER, left, former)

        stamp = self._stamp(command.author, at)
        changed = replace(registration, gbs_number=wanted, updated_at=at, number_stamp=stamp)
        groups, rows, row = self._move(registration, wanted, stamp)
        before: tuple[FieldValue, ...] = (
            FieldValue(Field.GBS_NUMBER, left, former.origin, registration.id),
        )
        after: tuple[FieldValue, ...] = (
            FieldValue(Field.GBS_NUMBER, wanted, stamp.revision, registration.id),
        )
        if wanted is not None and groups[-1].stamp is stamp:  # created
            existed, exists = self._state.existence(groups[-1])
            before, after = (*before, existed), (*after, exists)
        return Change(
            revision=stamp.revision,
            command_id=command.id,
            author=command.author,
            kind=Kind.ASSIGN_NUMBER,
            at=at,
            request=request_bytes(action),
            registration_id=registration.id,
            before=before,
            after=after,
            registrations=(changed,),
            groups=tuple(groups),
            rows=tuple(rows),
            row=row,
        )

    def _create_memo(
        self, command: Command, action: CreateMemo, at: datetime
    ) -> Change | Rejection:
        registration = self._state.registrations.get(action.registration_id)
        if registration is None:
            return _no_registration(action.registration_id)
        self._check_base(command)
        text, color = clean_memo(action.text, action.color)
        memo, stamp = registration.memo, registration.memo_stamp
        if memo is not None:
            # One memo per person: whoever creates a second one has not seen the first,
            # whatever revision they were looking at.
            if not is_same_memo(memo, text, color):
                return self._conflict(registration, Field.LINEUP_MEMO, memo, stamp)
            return self._unchanged(command, registration, _found_memo(registration), at)
        if self._is_unseen(stamp, command):
            return self._conflict(registration, Field.LINEUP_MEMO, None, stamp)
        memo_id = next(self._memo_ids, None)
        if memo_id is None:
            raise MemoIdsExhausted("no reserved memo id is left")
        created = Memo(memo_id, text, color)
        return self._memo_change(command, registration, created, at)

    def _update_memo(
        self, command: Command, action: UpdateMemo, at: datetime
    ) -> Change | Rejection:
        found = self._find_memo(action.memo_id)
        if isinstance(found, Rejection):
            return found
        registration, memo = found
        self._check_base(command)
        text, color = clean_memo(action.text, action.color)
        stamp = registration.memo_stamp
        if is_same_memo(memo, text, color):
            return self._unchanged(command, registration, _found_memo(registration), at)
        if self._is_unseen(stamp, command):
            return self._conflict(registration, Field.LINEUP_MEMO, memo, stamp)
        updated = Memo(memo.id, text, color)
        return self._memo_change(command, registration, updated, at)

    def _delete_memo(
        self, command: Command, action: DeleteMemo, at: datetime
    ) -> Change | Rejection:
        found = self._find_memo(action.memo_id)
        if isinstance(found, Rejection):
            return found
        registration, memo = found
        self._check_base(command)
        if self._is_unseen(registration.memo_stamp, command):
            stamp = registration.memo_stamp
            return self._conflict(registration, Field.LINEUP_MEMO, memo, stamp)
        return self._memo_change(command, registration, None, at)

    # -- what they share

    def _find_memo(self, memo_id: int) -> tuple[Registration, Memo] | Rejection:
        owner = self._state.memo_owners.get(memo_id)
        registration = None if owner is None else self._state.registrations.get(owner)
        if registration is None or registration.memo is None:
            return Rejection(Code.NOT_FOUND, f"There is no memo {memo_id}")
        return registration, registration.memo

    def _check_base(self, command: Command) -> None:
        check_base(command.base_revision, command, self._state.revision, self._epoch)

    def _is_unseen(self, stamp: Stamp, command: Command) -> bool:
        """Whether the command's author may not have seen the value that it replaces."""
        return is_unseen(stamp, command.base_revision, command, self._epoch)

    def _stamp(self, author: Author, at: datetime) -> Stamp:
        return Stamp(self._state.revision + 1, author.user_id, author.name, at)

    def _conflict(
        self, registration: Registration, field: Field, theirs: Value, stamp: Stamp
    ) -> Rejection:
        author = author_shown(stamp)
        return Rejection(
            Code.CONFLICT,
            f"{author or 'Somebody'} has changed {field} meanwhile",
            row=self._state.rows[registration.id],
            conflict=Conflict(
                field=field,
                theirs=theirs,
                changed_by=author,
                changed_by_id=stamp.author_id,
                changed_at=stamp.at,
                revision=stamp.revision,
            ),
        )

    def _unchanged(
        self,
        command: Command,
        registration: Registration,
        found: tuple[FieldValue, ...],
        at: datetime,
    ) -> Change:
        return Change(
            revision=self._state.revision + 1,
            command_id=command.id,
            author=command.author,
            kind=kind_of(command.action),
            at=at,
            request=request_bytes(command.action),
            registration_id=registration.id,
            before=found,
            after=found,
            row=self._state.rows[registration.id],
        )

    def _memo_change(
        self,
        command: Command,
        registration: Registration,
        memo: Memo | None,
        at: datetime,
    ) -> Change:
        former, field = registration.memo_stamp, Field.LINEUP_MEMO
        stamp = self._stamp(command.author, at)
        changed = replace(registration, memo=memo, memo_stamp=stamp, updated_at=at)
        row = self._state.rows[registration.id]
        row = rewritten(row, changed, self._written(at), stamp.revision)
        return Change(
            revision=stamp.revision,
            command_id=command.id,
            author=command.author,
            kind=kind_of(command.action),
            at=at,
            request=request_bytes(command.action),
            registration_id=registration.id,
            before=(FieldValue(field, registration.memo, former.origin, registration.id),),
            after=(FieldValue(field, memo, stamp.revision, registration.id),),
            registrations=(changed,),
            rows=(row,),
            row=row,
        )

    def _rows_of(self, number: int, *, without: int) -> list[Row]:
        """Return the rows of a group's members but one, in list order."""
        rows = self._state.rows
        return [rows[id_] for id_ in self._state.members.get(number) or () if id_ != without]

    def _move(
        self, registration: Registration, wanted: int | None, stamp: Stamp
    ) -> tuple[list[Group], list[Row], Row]:
        """Return both groups, every row and the person's own row after a move.

        The group that is joined comes last; if it did not exist, its stamp is the given one.
        """
        assert stamp.at is not None
        revision, at = stamp.revision, self._written(stamp.at)
        left = registration.gbs_number
        row = self._state.rows[registration.id]
        groups: list[Group] = []
        rows: list[Row] = []
        if left is not None:
            group = self._state.touched(left, stamp)
            others = self._rows_of(left, without=row.id)
            totals = totals_of(others)
            groups.append(group)
            rows = regrouped(others, group, totals)
        if wanted is None:
            row = moved(row, at, revision, None, NOBODY)
            return groups, [*rows, row], row
        group = self._state.touched(wanted, stamp)
        others = self._rows_of(wanted, without=row.id)
        totals = totals_of([*others, row])
        row = moved(row, at, revision, group, totals)
        joined = regrouped(others, group, totals)
        insort(joined, row, key=sort_key)
        groups.append(group)
        if left is not None and left > wanted:
            return groups, joined + rows, row
        return groups, rows + joined, row

    def _written(self, at: datetime) -> str:
        """Return a moment as rows write it; written once for commands that have the same."""
        if at is not self._at:
            self._at, self._at_written = at, iso_utc(at)
        return self._at_written


def _no_registration(registration_id: int) -> Rejection:
    return Rejection(Code.NOT_FOUND, f"There is no line-up row {registration_id}")


def _found_memo(registration: Registration) -> tuple[FieldValue, ...]:
    origin = registration.memo_stamp.origin
    return (FieldValue(Field.LINEUP_MEMO, registration.memo, origin, registration.id),)
