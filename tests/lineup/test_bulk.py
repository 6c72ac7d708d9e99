"""One edit of many people: simultaneous, all or nothing, or all that has no problem."""

from __future__ import annotations

import pytest

from gbs_actor.lineup.changes import Result, result_of
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Assignment, AssignNumber, BulkAssign, OnConflict
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Stamp
from gbs_actor.lineup.rules import MAX_ASSIGNMENTS
from tests.lineup.making import MINSU, accepted, at, board, held, registration, rejected, row


def bulk(
    *assignments: Assignment, on_conflict: OnConflict = "refuse", apply: bool = False
) -> BulkAssign:
    return BulkAssign(assignments, apply, on_conflict)


def test_all_fields_of_many_people_change_under_one_revision() -> None:
    it = board(registration(1, 1), registration(2, 1), registration(3), revision=4)
    change = accepted(
        it,
        bulk(
            Assignment(1, gbs_number=2, is_leader=True),
            Assignment(3, gbs_number=2, current_leader=" 박리더 ", lineup_number=12),
            apply=True,
        ),
        by=MINSU,
        seconds=30,
    )
    stamp = Stamp(5, MINSU.user_id, MINSU.name, at(30))
    first, third = held(it, 1), held(it, 3)
    assert (first.gbs_number, first.is_leader) == (2, True)
    assert (third.gbs_number, third.current_leader, third.lineup_number) == (2, "박리더", 12)
    assert first.number_stamp == first.leader_stamp == stamp
    assert third.current_leader_stamp == third.lineup_number_stamp == stamp
    assert third.leader_stamp == Stamp()
    assert [each.id for each in change.rows] == [2, 1, 3]
    assert [each.number for each in change.groups] == [1, 2]
    assert (change.registration_id, change.row) == (None, None)
    assert result_of(change) == Result(updated=(1, 3), created=(2,))


def test_two_people_who_swap_their_groups_meet_no_order() -> None:
    it = board(registration(1, 1, leader=True), registration(2, 2, leader=True))
    accepted(
        it,
        bulk(
            Assignment(1, gbs_number=2, is_leader=True), Assignment(2, gbs_number=1, is_leader=True)
        ),
    )
    assert (it.members(1), it.members(2)) == ((2,), (1,))


def test_line_up_numbers_count_only_if_they_are_to_be_applied() -> None:
    it = board(registration(1, 1))
    change = accepted(it, bulk(Assignment(1, gbs_number=1, lineup_number=12)))
    assert (change.rows, held(it, 1).lineup_number) == ((), None)
    accepted(it, bulk(Assignment(1, lineup_number=12), apply=True))
    assert held(it, 1).lineup_number == 12


def test_an_assignment_without_effect_is_done_and_updates_nothing() -> None:
    it = board(registration(1, 1), registration(2))
    change = accepted(it, bulk(Assignment(1, gbs_number=1), Assignment(2, gbs_number=1)))
    assert result_of(change).updated == (2,)
    assert [each.registration_id for each in change.before] == [2]


def test_every_problem_is_listed_at_once_and_nothing_is_done() -> None:
    it = board(registration(1, 1), registration(2, 2, leader=True), registration(3), revision=5)
    accepted(it, AssignNumber(1, 3), by=MINSU, seconds=30)
    rejection = rejected(
        it,
        bulk(
            Assignment(1, gbs_number=4, current_leader="박리더"),
            Assignment(2, gbs_number=4),
            Assignment(3, gbs_number=None, is_leader=True),
            Assignment(9, gbs_number=4),
        ),
        base=5,
    )
    assert rejection.code is Code.NOT_FOUND
    assert [
        (each.code, each.index, each.registration_id, each.field) for each in rejection.problems
    ] == [
        (Code.CONFLICT, 0, 1, Field.GBS_NUMBER),
        (Code.LEADER_LOCKED, 1, 2, Field.GBS_NUMBER),
        (Code.VALIDATION_FAILED, 2, 3, Field.IS_LEADER),
        (Code.NOT_FOUND, 3, 9, None),
    ]
    conflict = rejection.problems[0]
    assert (conflict.theirs, conflict.changed_by, conflict.changed_at, conflict.revision) == (
        3,
        MINSU.name,
        at(30),
        6,
    )
    assert it.revision == 6


def test_problems_are_in_the_order_of_the_assignments_malformed_ones_too() -> None:
    it = board(registration(1, 1), registration(2, 1))
    assignments = (
        Assignment(9, gbs_number=4),
        Assignment(1, gbs_number=0),
        Assignment(8, gbs_number=4),
        Assignment(2, gbs_number=10_000),
    )
    problems = rejected(it, bulk(*assignments)).problems
    assert [(each.index, each.code) for each in problems] == [
        (0, Code.NOT_FOUND),
        (1, Code.VALIDATION_FAILED),
        (2, Code.NOT_FOUND),
        (3, Code.VALIDATION_FAILED),
    ]


def test_with_skip_the_rest_is_done_and_a_person_with_a_problem_is_left_as_they_are() -> None:
    it = board(registration(1, 1), registration(2), revision=5)
    accepted(it, AssignNumber(1, 3), by=MINSU)
    change = accepted(
        it,
        bulk(
            Assignment(1, gbs_number=4, current_leader="박리더"),
            Assignment(2, gbs_number=4),
            on_conflict="skip",
        ),
        base=5,
    )
    assert (held(it, 1).gbs_number, held(it, 1).current_leader) == (3, "이서연")
    assert held(it, 2).gbs_number == 4
    assert [(each.code, each.index) for each in change.skipped] == [(Code.CONFLICT, 0)]


def test_the_base_of_an_assignment_counts_before_that_of_the_edit() -> None:
    it = board(registration(1, 1), registration(2, 1), revision=5)
    accepted(it, AssignNumber(1, 3), by=MINSU)
    accepted(it, AssignNumber(2, 3), by=MINSU)
    assignments = Assignment(1, gbs_number=4, base_revision=6), Assignment(2, gbs_number=4)
    rejection = rejected(it, bulk(*assignments), base=5)
    assert [each.registration_id for each in rejection.problems] == [2]


def test_an_equal_value_is_never_a_conflict() -> None:
    it = board(registration(1, 1), revision=5)
    accepted(it, AssignNumber(1, 3), by=MINSU)
    assert accepted(it, bulk(Assignment(1, gbs_number=3)), base=5).rows == ()


def test_a_leader_whose_group_stays_is_not_locked() -> None:
    it = board(registration(1, 1, leader=True))
    accepted(it, bulk(Assignment(1, gbs_number=1, current_leader="박리더")))
    assert row(it, 1).current_leader == "박리더"
    accepted(it, bulk(Assignment(1, gbs_number=2, is_leader=True)))
    accepted(it, bulk(Assignment(1, gbs_number=None, is_leader=False)))
    assert (row(it, 1).gbs_number, row(it, 1).is_leader) == (None, False)


def test_a_new_leader_is_listed_first_and_their_groups_revision_rises() -> None:
    it = board(registration(1, 1), registration(2, 1))
    accepted(it, bulk(Assignment(2, is_leader=True)))
    assert it.members(1) == (2, 1)
    assert [each.revision for each in it.rows()] == [1, 1]


@pytest.mark.parametrize("on_conflict", ["refuse", "skip"])
@pytest.mark.parametrize(
    "assignment",
    [
        Assignment(1, gbs_number=3),
        Assignment(2, gbs_number=0),
        Assignment(2, lineup_number=100_000),
        Assignment(2, current_leader="\ud800"),
        Assignment(2, current_leader="가" * 101),
        Assignment(2, gbs_number=3, base_revision=7),
    ],
    ids=repr,
)
def test_a_malformed_edit_is_refused_always(
    assignment: Assignment, on_conflict: OnConflict
) -> None:
    it = board(registration(1, 1), registration(2, 1))
    edit = bulk(Assignment(1, gbs_number=2), assignment, on_conflict=on_conflict, apply=True)
    rejection = rejected(it, edit)
    assert rejection.code is Code.VALIDATION_FAILED
    assert [each.index for each in rejection.problems] == [1]


def test_too_many_assignments_are_refused() -> None:
    it = board(registration(1, 1))
    many = bulk(*(Assignment(id_, gbs_number=2) for id_ in range(1, MAX_ASSIGNMENTS + 2)))
    assert rejected(it, many).code is Code.VALIDATION_FAILED


def test_a_base_that_the_room_has_not_reached_is_refused() -> None:
    it = board(registration(1, 1))
    assert rejected(it, bulk(Assignment(1, gbs_number=2)), base=9).code is Code.VALIDATION_FAILED
