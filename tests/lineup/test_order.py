from __future__ import annotations

from unicodedata import normalize

from tests.lineup.making import board, registration


def test_groups_come_in_the_order_of_their_numbers_with_unassigned_people_last() -> None:
    it = board(registration(1), registration(2, 10), registration(3, 9), registration(4, 1))
    assert it.ordered_ids() == (4, 3, 2, 1)


def test_the_leader_comes_first_in_the_group() -> None:
    it = board(registration(1, 1, grade=4), registration(2, 1, grade=1, leader=True))
    assert it.ordered_ids() == (2, 1)


def test_a_leader_in_no_group_has_no_precedence() -> None:
    it = board(registration(1, grade=4), registration(2, grade=1, leader=True))
    assert it.ordered_ids() == (1, 2)


def test_the_higher_grade_comes_first() -> None:
    it = board(registration(1, 1, grade=1), registration(2, 1, grade=4))
    assert it.ordered_ids() == (2, 1)


def test_the_same_grade_is_ordered_by_name() -> None:
    it = board(registration(1, 1, name="하"), registration(2, 1, name="가"))
    assert it.ordered_ids() == (2, 1)


def test_the_same_name_is_ordered_by_id() -> None:
    it = board(registration(2, 1, name="가"), registration(1, 1, name="가"))
    assert it.ordered_ids() == (1, 2)


def test_a_name_has_its_place_in_whatever_normalization_form_it_was_typed() -> None:
    decomposed = normalize("NFD", "나")
    it = board(
        registration(1, 1, name="다"),
        registration(2, 1, name=decomposed),
        registration(3, 1, name="A"),
    )
    assert it.ordered_ids() == (3, 2, 1)
