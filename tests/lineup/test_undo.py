"""Undo and redo by field: what is put back, what is in conflict, and what becomes of groups."""

from __future__ import annotations

from itertools import count

import pytest

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    AssignLeaders,
    Assignment,
    AssignNumber,
    Author,
    BulkAssign,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    OnConflict,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Memo, Registration, Stamp
from gbs_actor.lineup.undo import MemoIdsExhausted
from tests.lineup.making import JIWON, MINSU, at, board, command, held, registration, row


class Desk:
    """A board and the log of what was done to it."""

    def __init__(self, *people: Registration) -> None:
        self.board = board(*people)
        self.log: dict[int, LogEntry] = {}
        self.memo_ids = count(500)

    def try_(
        self, action: Action, by: Author = JIWON, epoch: str | None = None
    ) -> Change | Rejection:
        undone = None
        if isinstance(action, Undo) and action.revision is not None:
            undone = self.log.get(action.revision)
        asked = command(action, by=by, epoch=epoch)
        outcome = self.board.draft(self.memo_ids).decide(asked, at(len(self.log)), undone)
        if isinstance(outcome, Change):
            self.board.apply(outcome)
            self.log[outcome.revision] = LogEntry.of(outcome)
        return outcome

    def do(self, action: Action, by: Author = JIWON) -> Change:
        outcome = self.try_(action, by)
        assert isinstance(outcome, Change), outcome
        return outcome

    def undo(self, revision: int, by: Author = JIWON, on_conflict: OnConflict = "refuse") -> Change:
        return self.do(Undo(revision=revision, on_conflict=on_conflict), by)

    def conflicts(self, revision: int, by: Author = JIWON) -> list[tuple[object, Field | None]]:
        outcome = self.try_(Undo(revision=revision), by)
        assert isinstance(outcome, Rejection), outcome
        assert outcome.code is Code.CONFLICT
        return [(each.registration_id or each.gbs_number, each.field) for each in outcome.problems]

    def number(self, id_: int) -> int | None:
        return held(self.board, id_).gbs_number

    def exists(self, number: int) -> bool:
        group = self.board.group(number)
        return group is not None and not group.deleted


def move(number: int | None, *ids: int) -> BulkAssign:
    return BulkAssign(tuple(Assignment(id_, gbs_number=number) for id_ in ids))


def test_an_undo_puts_back_the_values_and_their_origin() -> None:
    desk = Desk(registration(1, 1), registration(2, 1))
    desk.do(AssignNumber(1, 2))
    desk.do(move(3, 1, 2))
    change = desk.undo(2)
    assert (desk.number(1), desk.number(2)) == (2, 1)
    assert held(desk.board, 1).number_stamp == Stamp(3, JIWON.user_id, JIWON.name, at(2), 1)
    assert held(desk.board, 2).number_stamp.origin == 0
    assert (change.undoes, change.before[0].origin, change.after[0].origin) == (2, 2, 1)


def test_changes_are_undone_one_after_the_other() -> None:
    desk = Desk(registration(1, 1))
    for number in (2, 3, 4):
        desk.do(AssignNumber(1, number))
    for revision, number in ((3, 3), (2, 2), (1, 1)):
        desk.undo(revision)
        assert desk.number(1) == number


def test_the_undo_of_an_undo_is_a_redo_after_which_the_change_can_be_undone_again() -> None:
    desk = Desk(registration(1, 1))
    desk.do(AssignNumber(1, 2))
    desk.undo(1)
    desk.undo(2)
    assert desk.number(1) == 2
    desk.undo(1)
    assert desk.number(1) == 1


@pytest.mark.parametrize("by", [JIWON, MINSU])
def test_a_field_that_was_changed_since_by_whomever_is_in_conflict(by: Author) -> None:
    desk = Desk(registration(1, 1), registration(2, 1))
    desk.do(move(2, 1, 2))
    desk.do(AssignNumber(1, 3), by=by)
    assert desk.conflicts(1) == [(1, Field.GBS_NUMBER)]
    assert (desk.number(1), desk.number(2)) == (3, 2)
    change = desk.undo(1, on_conflict="skip")
    assert (desk.number(1), desk.number(2)) == (3, 1)
    (problem,) = change.skipped
    assert (problem.code, problem.theirs, problem.changed_by) == (Code.CONFLICT, 3, by.name)
    assert (problem.revision, problem.changed_at) == (2, at(1))


def test_a_value_that_another_one_has_given_again_is_in_conflict() -> None:
    desk = Desk(registration(1, 1))
    desk.do(AssignNumber(1, 2))
    desk.do(AssignNumber(1, 3), by=MINSU)
    desk.do(AssignNumber(1, 2), by=MINSU)
    assert desk.conflicts(1) == [(1, Field.GBS_NUMBER)]


def test_fields_of_one_person_are_undone_each_on_its_own() -> None:
    desk = Desk(registration(1, 1))
    desk.do(BulkAssign((Assignment(1, gbs_number=2, current_leader="박리더"),)))
    desk.do(AssignNumber(1, 3), by=MINSU)
    desk.undo(1, on_conflict="skip")
    assert (desk.number(1), held(desk.board, 1).current_leader) == (3, "이서연")


def test_what_others_did_is_undone_by_operators_only() -> None:
    desk = Desk(registration(1, 1))
    desk.do(AssignNumber(1, 2), by=MINSU)
    outcome = desk.try_(Undo(revision=1))
    assert isinstance(outcome, Rejection)
    assert outcome.code is Code.FORBIDDEN
    desk.do(Undo(revision=1, by_operator=True))
    assert desk.number(1) == 1


def test_the_undo_of_a_no_op_or_a_fence_changes_nothing() -> None:
    desk = Desk(registration(1, 1))
    desk.do(AssignNumber(1, 1))
    fence = desk.board.draft(iter(())).fence(command(DeleteMemo(1)).id, at(1))
    desk.board.apply(fence)
    desk.log[2] = LogEntry.of(fence)
    for revision in (1, 2):
        change = desk.undo(revision)
        assert (change.before, change.rows, change.undoes) == ((), (), revision)


def test_an_unknown_change_and_one_of_another_epoch_are_not_found() -> None:
    desk = Desk(registration(1, 1))
    desk.do(AssignNumber(1, 2))
    for outcome in (desk.try_(Undo(revision=7)), desk.try_(Undo(revision=1), epoch="another")):
        assert isinstance(outcome, Rejection)
        assert outcome.code is Code.NOT_FOUND


# -- memos


def test_a_deleted_memo_comes_back_with_a_new_id_and_a_created_one_goes() -> None:
    desk = Desk(registration(1, memo=Memo(50, "창가", "")))
    desk.do(DeleteMemo(50))
    desk.undo(1)
    assert held(desk.board, 1).memo == Memo(500, "창가", "")
    assert (desk.board.memo_owner(50), desk.board.memo_owner(500)) == (None, 1)
    desk.undo(2)
    assert held(desk.board, 1).memo is None
    desk.do(CreateMemo(1, "복도", ""))
    desk.undo(4)
    assert held(desk.board, 1).memo is None


def test_an_updated_memo_keeps_the_id_it_has() -> None:
    desk = Desk(registration(1, memo=Memo(50, "a", "")))
    desk.do(UpdateMemo(50, "b", ""))
    desk.do(DeleteMemo(50))
    desk.undo(2)
    desk.undo(1)
    assert held(desk.board, 1).memo == Memo(500, "a", "")


def test_a_memo_that_comes_back_needs_an_id() -> None:
    desk = Desk(registration(1, memo=Memo(50, "창가", "")))
    desk.do(DeleteMemo(50))
    desk.memo_ids = iter(())  # type: ignore[assignment]
    with pytest.raises(MemoIdsExhausted):
        desk.undo(1)


# -- groups


def test_a_created_group_is_deleted_and_comes_back_with_a_redo() -> None:
    desk = Desk(registration(1))
    desk.do(CreateGroups((7, 8)))
    desk.undo(1)
    assert not desk.exists(7)
    desk.undo(2)
    assert desk.exists(7)
    assert desk.exists(8)


def test_a_created_group_that_is_in_use_stays() -> None:
    desk = Desk(registration(1))
    desk.do(CreateGroups((7, 8, 9)))
    desk.do(AssignNumber(1, 7), by=MINSU)
    desk.do(SetGroupMemo(8, "3층"), by=MINSU)
    assert desk.conflicts(1) == [(7, Field.EXISTS), (8, Field.EXISTS)]
    desk.undo(1, on_conflict="skip")
    assert [desk.exists(number) for number in (7, 8, 9)] == [True, True, False]


def test_a_group_that_was_emptied_by_undoing_can_be_undone_next() -> None:
    desk = Desk(registration(1))
    desk.do(CreateGroups((7,)))
    desk.do(AssignNumber(1, 7))
    desk.undo(2)
    desk.undo(1)
    assert not desk.exists(7)


def test_a_group_that_was_created_by_a_move_goes_with_it_unless_others_have_joined() -> None:
    desk = Desk(registration(1), registration(2), registration(3))
    desk.do(move(7, 1, 2))
    desk.undo(1)
    assert not desk.exists(7)
    desk.undo(2)
    desk.do(AssignNumber(3, 7), by=MINSU)
    desk.undo(1)
    assert (desk.exists(7), desk.board.members(7)) == (True, (3,))


def test_a_deleted_group_comes_back_with_its_memo_its_people_and_its_leaders() -> None:
    desk = Desk(registration(1, 2, leader=True), registration(2, 2), registration(3, 2))
    desk.do(SetGroupMemo(2, "3층"))
    before = desk.board.rows()
    desk.do(DeleteGroup(2))
    assert (desk.number(1), row(desk.board, 1).is_leader) == (None, False)
    desk.do(AssignNumber(3, 4), by=MINSU)
    desk.undo(2, on_conflict="skip")
    assert desk.exists(2)
    assert desk.board.members(2) == (1, 2)
    assert (row(desk.board, 1).gbs_memo, row(desk.board, 1).is_leader) == ("3층", True)
    assert desk.number(3) == 4
    desk.do(AssignNumber(3, None), by=MINSU)
    desk.do(AssignNumber(3, 2), by=MINSU)
    assert [each.id for each in desk.board.rows()] == [each.id for each in before]


def test_a_leader_who_was_moved_on_since_does_not_lead_where_they_are_now() -> None:
    desk = Desk(registration(1, 2, leader=True), registration(2, 2))
    desk.do(DeleteGroup(2))
    desk.do(AssignNumber(1, 5), by=MINSU)
    change = desk.undo(1, on_conflict="skip")
    assert (desk.number(1), held(desk.board, 1).is_leader) == (5, False)
    assert [(each.registration_id, each.field) for each in change.skipped] == [
        (1, Field.GBS_NUMBER)
    ]


def test_who_was_moved_since_does_not_lead_again_where_they_are_now() -> None:
    desk = Desk(registration(1, 3, leader=True))
    desk.do(UnassignLeaders(3))
    desk.do(AssignNumber(1, 5), by=MINSU)
    assert desk.conflicts(1) == [(1, Field.GBS_NUMBER)]
    change = desk.undo(1, on_conflict="skip")
    assert (desk.number(1), held(desk.board, 1).is_leader) == (5, False)
    assert change.skipped[0].changed_by == MINSU.name
    desk.undo(2, by=MINSU)
    desk.undo(1)
    assert (desk.number(1), held(desk.board, 1).is_leader) == (3, True)


def test_a_leader_does_not_lead_a_group_that_they_had_left_before() -> None:
    desk = Desk(registration(1, 3))
    desk.do(AssignNumber(1, 5), by=MINSU)
    desk.do(AssignLeaders(5, (10_001,)), by=MINSU)
    desk.do(UnassignLeaders(5))
    desk.undo(1, by=MINSU)
    assert desk.conflicts(3) == [(1, Field.GBS_NUMBER)]


def test_an_old_move_of_somebody_who_leads_since_moves_no_leader() -> None:
    desk = Desk(registration(1, 3))
    desk.do(AssignNumber(1, 5))
    desk.do(AssignLeaders(5, (10_001,)), by=MINSU)
    assert desk.conflicts(1) == [(1, Field.IS_LEADER)]
    desk.undo(1, on_conflict="skip")
    assert (desk.number(1), held(desk.board, 1).is_leader) == (5, True)
    desk.undo(2, by=MINSU)
    desk.undo(1)
    assert (desk.number(1), held(desk.board, 1).is_leader) == (3, False)


def test_a_leader_who_was_moved_as_one_is_moved_back_as_one() -> None:
    desk = Desk(registration(1, 3, leader=True))
    desk.do(BulkAssign((Assignment(1, gbs_number=5, is_leader=True),)))
    desk.undo(1)
    assert (desk.number(1), held(desk.board, 1).is_leader) == (3, True)
    desk.undo(2)
    assert (desk.number(1), held(desk.board, 1).is_leader) == (5, True)


def test_a_leader_is_not_left_without_a_group() -> None:
    desk = Desk(registration(1))
    desk.do(AssignNumber(1, 3))
    desk.do(AssignLeaders(3, (10_001,)), by=MINSU)
    assert desk.conflicts(1) == [(1, Field.IS_LEADER)]
    desk.do(UnassignLeaders(3), by=MINSU)
    desk.do(AssignNumber(1, None), by=MINSU)
    assert desk.conflicts(3, by=MINSU) == [(1, Field.GBS_NUMBER)]


def test_the_memo_of_a_group_that_is_gone_does_not_bring_it_back() -> None:
    desk = Desk(registration(1, 2))
    desk.do(SetGroupMemo(2, "3층"))
    desk.do(SetGroupMemo(2, None))
    desk.do(DeleteGroup(2), by=MINSU)
    assert desk.conflicts(2) == [(2, Field.GBS_MEMO)]


def test_undoing_a_large_edit_twice_gives_the_board_that_was_there() -> None:
    desk = Desk(*(registration(id_, id_ % 9 + 1, leader=id_ < 10) for id_ in range(1, 100)))
    before = Board.rows(desk.board)
    desk.do(
        BulkAssign(
            tuple(
                Assignment(id_, gbs_number=id_ % 7 + 20, is_leader=id_ % 7 == 0)
                for id_ in range(1, 100)
            )
        )
    )
    moved = desk.board.rows()
    desk.undo(1)
    assert [_shown(each) for each in desk.board.rows()] == [_shown(each) for each in before]
    desk.undo(2)
    assert [_shown(each) for each in desk.board.rows()] == [_shown(each) for each in moved]


def _shown(of: object) -> object:
    assert hasattr(of, "__struct_fields__")
    return [
        getattr(of, name) for name in of.__struct_fields__ if name not in ("revision", "updated_at")
    ]
