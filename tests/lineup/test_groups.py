"""Groups that exist by themselves, their memos and their leaders."""

from __future__ import annotations

import pytest

from gbs_actor.lineup.changes import result_of
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    AssignLeaders,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateGroups,
    DeleteGroup,
    SetGroupMemo,
    UnassignLeaders,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Group, Stamp
from gbs_actor.lineup.rules import MAX_NEW_GROUPS
from tests.lineup.making import JIWON, MINSU, accepted, at, board, held, registration, rejected, row


def test_groups_that_exist_are_not_created_again() -> None:
    it = board(registration(1, 2))
    change = accepted(it, CreateGroups((3, 2, 5, 3)))
    assert result_of(change).created == (3, 5)
    assert it.group(5) == Group(5, "", 1, stamp=Stamp(1, JIWON.user_id, JIWON.name, at(1)))
    assert (change.rows, it.statistics().groups) == ((), 3)


@pytest.mark.parametrize("numbers", [(0,), (10_000,), tuple(range(1, MAX_NEW_GROUPS + 2))])
def test_groups_that_cannot_be_are_refused(numbers: tuple[int, ...]) -> None:
    assert rejected(board(), CreateGroups(numbers)).code is Code.VALIDATION_FAILED


def test_a_deleted_group_keeps_nothing_but_its_revision() -> None:
    it = board(registration(1, 2, leader=True), registration(2, 2), groups=[Group(2, "3층")])
    change = accepted(it, DeleteGroup(2))
    assert [(each.gbs_number, each.is_leader, each.gbs_memo) for each in it.rows()] == [
        (None, False, "")
    ] * 2
    assert it.group(2) == Group(
        2,
        "",
        1,
        memo_stamp=Stamp(1, JIWON.user_id, JIWON.name, at(1)),
        stamp=Stamp(1, JIWON.user_id, JIWON.name, at(1)),
        deleted=True,
    )
    assert (it.members(2), it.statistics().groups) == ((), 0)
    assert {each.id for each in change.rows} == {1, 2}


def test_a_deleted_group_is_created_again_by_whoever_is_put_into_it() -> None:
    it = board(registration(1, 2))
    accepted(it, DeleteGroup(2))
    change = accepted(it, AssignNumber(1, 2))
    assert [(each.field, each.value) for each in change.after] == [
        (Field.GBS_NUMBER, 2),
        (Field.EXISTS, True),
    ]
    group = it.group(2)
    assert group is not None
    assert (group.deleted, group.stamp.revision) == (False, 2)


def test_a_group_with_members_is_kept_where_only_an_empty_one_is_to_go() -> None:
    it = board(registration(1, 2), groups=[Group(3)])
    assert rejected(it, DeleteGroup(2, if_empty=True)).code is Code.GROUP_NOT_EMPTY
    accepted(it, DeleteGroup(3, if_empty=True))


@pytest.mark.parametrize("action", [DeleteGroup(9), UnassignLeaders(9), SetGroupMemo(9, "a")])
def test_a_group_that_does_not_exist_is_not_found(
    action: DeleteGroup | UnassignLeaders | SetGroupMemo,
) -> None:
    it = board(registration(1, 9))
    accepted(it, DeleteGroup(9))
    assert rejected(it, action).code is Code.NOT_FOUND


def test_a_group_that_somebody_joined_since_is_not_deleted() -> None:
    it = board(registration(1, 2), registration(2), revision=5)
    accepted(it, AssignNumber(2, 2), by=MINSU)
    rejection = rejected(it, DeleteGroup(2), base=5)
    assert rejection.code is Code.CONFLICT
    (problem,) = rejection.problems
    assert (problem.registration_id, problem.field, problem.theirs) == (2, Field.GBS_NUMBER, 2)


def test_leaders_are_added_to_those_that_lead_the_group() -> None:
    it = board(
        registration(1, 2, leader=True),
        registration(2, 1, leader=True),
        registration(3),
        revision=3,
    )
    accepted(it, AssignLeaders(2, (10_002, 10_003)))
    assert [(each.gbs_number, each.is_leader) for each in it.rows()] == [(2, True)] * 3


def test_unknown_leaders_are_named_and_nobody_is_assigned() -> None:
    it = board(registration(1))
    rejection = rejected(it, AssignLeaders(2, (10_001, 77)))
    assert rejection.code is Code.NOT_FOUND
    assert [each.index for each in rejection.problems] == [1]


def test_leaders_that_are_unassigned_stay_in_the_group() -> None:
    it = board(registration(1, 2, leader=True), registration(2, 2))
    change = accepted(it, UnassignLeaders(2))
    assert (row(it, 1).is_leader, row(it, 1).gbs_number) == (False, 2)
    assert [(each.field, each.value) for each in change.before] == [
        (Field.IS_LEADER, True),
        (Field.GBS_NUMBER, 2),
    ]
    assert [(each.field, each.value) for each in change.after] == [
        (Field.IS_LEADER, False),
        (Field.GBS_NUMBER, 2),
    ]


def test_a_leaders_other_fields_are_logged_without_group_and_flag() -> None:
    it = board(registration(1, 2, leader=True))
    change = accepted(it, BulkAssign((Assignment(1, current_leader="이리더"),)))
    assert [each.field for each in change.after] == [Field.CURRENT_LEADER]


def test_a_groups_memo_stands_on_every_row_of_it() -> None:
    it = board(registration(1, 2), registration(2, 2), registration(3))
    accepted(it, SetGroupMemo(2, " 3층 "), by=MINSU, seconds=30)
    assert [each.gbs_memo for each in it.rows()] == ["3층", "3층", ""]
    assert row(it, 1).updated_at == "2024-01-05T03:00:00.000Z"
    assert held(it, 1).revision == 0
    group = it.group(2)
    assert group is not None
    assert group.memo_stamp == Stamp(1, MINSU.user_id, MINSU.name, at(30))
    accepted(it, SetGroupMemo(2, None))
    assert row(it, 1).gbs_memo == ""


def test_a_groups_memo_that_was_changed_since_is_in_conflict_unless_it_is_equal() -> None:
    it = board(registration(1, 2), revision=5)
    accepted(it, SetGroupMemo(2, "3층"), by=MINSU)
    rejection = rejected(it, SetGroupMemo(2, "2층"), base=5)
    assert rejection.code is Code.CONFLICT
    assert [(each.gbs_number, each.theirs) for each in rejection.problems] == [(2, "3층")]
    assert accepted(it, SetGroupMemo(2, "3층"), base=5).groups == ()


def test_a_groups_memo_has_500_characters_at_most() -> None:
    it = board(registration(1, 2))
    assert rejected(it, SetGroupMemo(2, "가" * 501)).code is Code.VALIDATION_FAILED
