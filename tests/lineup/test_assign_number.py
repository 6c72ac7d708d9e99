from __future__ import annotations

import pytest

from gbs_actor.lineup.changes import Conflict
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber, Kind
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.records import Gender, Group, Stamp
from tests.lineup.making import (
    JIWON,
    MINSU,
    accepted,
    at,
    board,
    contents,
    held,
    outcome,
    registration,
    rejected,
    row,
)


def test_a_person_moves_to_the_wanted_group() -> None:
    it = board(registration(1, 1), registration(2, 2))
    accepted(it, AssignNumber(1, 2))
    assert row(it, 1).gbs_number == 2
    assert (it.members(1), it.members(2)) == ((), (1, 2))


def test_both_groups_totals_change_on_every_row() -> None:
    it = board(
        registration(1, 1, gender=Gender.MALE, full=False),
        registration(2, 1),
        registration(3, 2),
        registration(4, 2),
    )
    accepted(it, AssignNumber(1, 2))
    assert [(each.id, each.total_count, each.male_count) for each in it.rows()] == [
        (2, 1, 0),
        (1, 3, 1),
        (3, 3, 1),
        (4, 3, 1),
    ]
    assert (row(it, 2).partial_attendance_count, row(it, 3).partial_attendance_count) == (0, 1)


def test_every_row_of_both_groups_goes_out_under_the_one_new_revision() -> None:
    it = board(*(registration(id_, (id_ + 1) // 2) for id_ in range(1, 7)), revision=10)
    change = accepted(it, AssignNumber(1, 2))
    assert [(each.id, each.revision) for each in change.rows] == [
        (2, 11),
        (1, 11),
        (3, 11),
        (4, 11),
    ]
    assert row(it, 5).revision == 0


def test_changed_rows_come_in_list_order_also_when_the_move_goes_to_a_lower_group() -> None:
    it = board(registration(1, 2), registration(2, 2), registration(3, 1))
    change = accepted(it, AssignNumber(1, 1))
    assert [each.id for each in change.rows] == [1, 3, 2]


def test_the_newcomer_takes_its_place_in_the_groups_order() -> None:
    it = board(
        registration(1, 1, grade=2),
        registration(2, 2, grade=1, leader=True),
        registration(3, 2, grade=3),
        registration(4, 2, grade=1),
    )
    accepted(it, AssignNumber(1, 2))
    assert it.members(2) == (2, 3, 1, 4)


def test_a_group_is_created_by_its_first_assignment() -> None:
    it = board(registration(1))
    change = accepted(it, AssignNumber(1, 7))
    assert change.groups == (Group(7, "", 1, stamp=Stamp(1, JIWON.user_id, JIWON.name, at(1))),)
    assert (it.group(7),) == change.groups


def test_a_groups_memo_stands_on_the_row_of_who_joins_and_leaves_with_it() -> None:
    it = board(registration(1), registration(2, 3), groups=[Group(3, "방 배정 주의")])
    accepted(it, AssignNumber(1, 3))
    assert row(it, 1).gbs_memo == "방 배정 주의"
    accepted(it, AssignNumber(1, None))
    assert row(it, 1).gbs_memo == ""
    assert it.group(3) == Group(3, "방 배정 주의", 2)


def test_a_person_taken_out_of_a_group_has_no_totals_and_comes_last() -> None:
    it = board(registration(1, 1), registration(2, 1))
    change = accepted(it, AssignNumber(1, None))
    assert [each.id for each in change.rows] == [2, 1]
    assert (row(it, 1).gbs_number, row(it, 1).total_count) == (None, 0)


def test_a_group_that_lost_its_last_member_stays() -> None:
    it = board(registration(1, 1))
    accepted(it, AssignNumber(1, None))
    assert it.group(1) == Group(1, "", 1)
    assert it.members(1) == ()


def test_the_change_says_who_did_what_when() -> None:
    it = board(registration(1, 1), revision=4)
    change = accepted(it, AssignNumber(1, 2), by=MINSU, seconds=30)
    assert (change.revision, change.author, change.at) == (5, MINSU, at(30))
    assert (change.kind, change.registration_id) == (Kind.ASSIGN_NUMBER, 1)
    assert change.before == (
        FieldValue(Field.GBS_NUMBER, 1, 0, registration_id=1),
        FieldValue(Field.EXISTS, False, 0, gbs_number=2),
    )
    assert change.after == (
        FieldValue(Field.GBS_NUMBER, 2, 5, registration_id=1),
        FieldValue(Field.EXISTS, True, 5, gbs_number=2),
    )
    assert change.request == b'{"action":"assign-number","gbsNumber":2,"registrationId":1}'
    assert change.row == row(it, 1)


def test_the_field_remembers_who_changed_it_last() -> None:
    it = board(registration(1, 1))
    accepted(it, AssignNumber(1, 2), by=MINSU, seconds=30)
    assert held(it, 1).number_stamp == Stamp(1, MINSU.user_id, MINSU.name, at(30))
    assert held(it, 1).updated_at == at(30)
    assert row(it, 1).updated_at == "2024-01-05T03:00:30.000Z"


def test_only_the_moved_persons_time_of_update_changes() -> None:
    it = board(registration(1, 1), registration(2, 2))
    accepted(it, AssignNumber(1, 2), seconds=30)
    assert row(it, 2).updated_at == "2024-01-05T03:00:00.000Z"


def test_the_number_that_is_there_already_takes_a_revision_and_changes_nothing() -> None:
    it = board(registration(1, 1), registration(2, 1), revision=4)
    before = it.rows()
    change = accepted(it, AssignNumber(1, 1))
    assert (it.revision, it.rows()) == (5, before)
    assert (change.registrations, change.groups, change.rows) == ((), (), ())
    assert change.row == row(it, 1)
    assert change.before == change.after == (FieldValue(Field.GBS_NUMBER, 1, 0, 1),)


def test_no_group_for_a_person_in_none_changes_nothing() -> None:
    it = board(registration(1))
    assert accepted(it, AssignNumber(1, None)).rows == ()


def test_an_unknown_person_is_not_found() -> None:
    assert rejected(board(registration(1)), AssignNumber(2, 1)).code is Code.NOT_FOUND


@pytest.mark.parametrize("number", [0, -1, 10_000])
def test_a_number_outside_the_range_is_refused(number: int) -> None:
    rejection = rejected(board(registration(1)), AssignNumber(1, number))
    assert rejection.code is Code.VALIDATION_FAILED
    assert rejection.message.startswith("gbsNumber: ")


@pytest.mark.parametrize("number", [1, 2, None])
def test_a_leaders_number_is_locked_also_to_the_number_it_has(number: int | None) -> None:
    it = board(registration(1, 1, leader=True))
    assert rejected(it, AssignNumber(1, number)).code is Code.LEADER_LOCKED


def test_people_may_join_and_leave_a_leaders_group() -> None:
    it = board(registration(1, 1, leader=True), registration(2))
    accepted(it, AssignNumber(2, 1))
    assert row(it, 1).total_count == 2


def test_a_number_changed_since_the_base_revision_conflicts() -> None:
    it = board(registration(1, 1), revision=7)
    accepted(it, AssignNumber(1, 2), by=MINSU, seconds=30)
    rejection = rejected(it, AssignNumber(1, 3), base=7)
    assert rejection.code is Code.CONFLICT
    assert rejection.row == row(it, 1)
    assert rejection.conflict == Conflict(
        field=Field.GBS_NUMBER,
        theirs=2,
        changed_by=MINSU.name,
        changed_by_id=MINSU.user_id,
        changed_at=at(30),
        revision=8,
    )


def test_wanting_what_the_other_one_did_is_no_conflict() -> None:
    it = board(registration(1, 1))
    accepted(it, AssignNumber(1, 2), by=MINSU)
    assert accepted(it, AssignNumber(1, 2), base=0).rows == ()


def test_a_base_revision_at_the_last_change_of_the_field_is_no_conflict() -> None:
    it = board(registration(1, 1))
    accepted(it, AssignNumber(1, 2), by=MINSU)
    accepted(it, AssignNumber(1, 3), base=1)
    assert row(it, 1).gbs_number == 3


def test_without_a_base_revision_the_later_wins() -> None:
    it = board(registration(1, 1))
    accepted(it, AssignNumber(1, 2), by=MINSU)
    accepted(it, AssignNumber(1, 3), by=JIWON)
    assert row(it, 1).gbs_number == 3


def test_others_coming_and_going_in_the_group_is_no_conflict() -> None:
    it = board(registration(1, 1), registration(2, 2))
    accepted(it, AssignNumber(2, 1), by=MINSU)
    assert row(it, 1).revision == 1
    accepted(it, AssignNumber(1, 3), base=0)
    assert row(it, 1).gbs_number == 3


def test_a_no_op_does_not_renew_the_field() -> None:
    it = board(registration(1, 1))
    accepted(it, AssignNumber(1, 1), by=MINSU)
    accepted(it, AssignNumber(1, 2), base=0)
    assert row(it, 1).gbs_number == 2


@pytest.mark.parametrize("base", [-1, 5])
def test_a_base_revision_that_the_room_never_had_is_refused(base: int) -> None:
    rejection = rejected(board(registration(1), revision=4), AssignNumber(1, 1), base=base)
    assert rejection.code is Code.VALIDATION_FAILED
    assert rejection.message.startswith("baseRevision: ")


def test_a_rejected_command_changes_nothing() -> None:
    it = board(registration(1, 1), revision=7)
    accepted(it, AssignNumber(1, 2))
    before = contents(it)
    rejected(it, AssignNumber(1, 3), base=7)
    assert contents(it) == before


def test_a_decision_alone_changes_nothing() -> None:
    it = board(registration(1, 1), registration(2, 2))
    before = contents(it)
    outcome(it, AssignNumber(1, 2))
    assert contents(it) == before
