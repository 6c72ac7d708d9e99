from __future__ import annotations

import pytest
from msgspec.structs import replace

from gbs_actor.lineup.board import Board, BoardStatistics
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.lineup.records import Group, Memo
from tests.lineup.making import (
    accepted,
    at,
    board,
    command,
    contents,
    outcome,
    registration,
    retreat,
    row,
)


def _change(of: Board) -> Change:
    change = outcome(of, AssignNumber(1, 2))
    assert isinstance(change, Change)
    return change


def test_a_board_tells_which_retreat_it_is_of() -> None:
    it = Board(retreat(registration(1), revision=4, removal_revision=2))
    assert (it.retreat_id, it.slug, it.epoch) == (1, "2024-winter", "e1")
    assert (it.revision, it.removal_revision, len(it)) == (4, 2, 1)


def test_what_is_not_on_the_board_is_none() -> None:
    it = board(registration(1, 1))
    assert (it.row(2), it.registration(2), it.group(2), it.memo_owner(2)) == (None,) * 4
    assert it.members(2) == ()


def test_a_group_that_only_people_tell_of_exists_without_a_memo() -> None:
    assert board(registration(1, 3)).group(3) == Group(3)


def test_a_group_without_people_exists() -> None:
    assert board(registration(1), groups=[Group(3, "조장 미정")]).group(3) == Group(3, "조장 미정")


@pytest.mark.parametrize("revision", [0, 2])
def test_a_change_that_is_not_the_next_revision_is_refused(revision: int) -> None:
    it = board(registration(1, 1))
    before = contents(it)
    with pytest.raises(ValueError, match="does not follow"):
        it.apply(replace(_change(it), revision=revision))
    assert contents(it) == before


def test_a_change_cannot_be_applied_twice() -> None:
    it = board(registration(1, 1))
    change = _change(it)
    it.apply(change)
    with pytest.raises(ValueError, match="does not follow"):
        it.apply(change)


def test_a_change_of_somebody_who_is_not_there_is_refused() -> None:
    it = board(registration(1, 1))
    before = contents(it)
    with pytest.raises(ValueError, match="no registration 2"):
        it.apply(replace(_change(it), registrations=(registration(2, 2),)))
    assert contents(it) == before


def test_the_list_order_follows_every_move() -> None:
    it = board(registration(1, 1), registration(2, 2))
    assert it.ordered_ids() == (1, 2)
    accepted(it, AssignNumber(1, 3))
    assert it.ordered_ids() == (2, 1)
    assert [each.id for each in it.rows()] == [2, 1]


def test_rows_since_are_those_of_that_revision_and_later_in_list_order() -> None:
    it = board(*(registration(id_, 1) for id_ in (1, 2, 3)))
    for id_ in (3, 2, 1):
        accepted(it, CreateMemo(id_, "a", ""), memo_ids=iter([50 + id_]))
    assert [each.id for each in it.rows_since(2)] == [1, 2]
    assert [each.id for each in it.rows_since(4)] == []


def test_rows_since_has_the_neighbours_whose_totals_changed() -> None:
    it = board(registration(1, 1), registration(2, 1), registration(3, 2), registration(4, 3))
    accepted(it, AssignNumber(1, 2))
    assert [each.id for each in it.rows_since(1)] == [2, 1, 3]


def test_a_client_that_is_up_to_date_needs_no_full_list() -> None:
    assert not board(registration(1), revision=4).needs_full(4, "e1")


def test_a_client_behind_needs_no_full_list() -> None:
    assert not board(registration(1), revision=4).needs_full(0, "e1")


def test_a_client_without_a_revision_needs_the_full_list() -> None:
    assert board(registration(1), revision=4).needs_full(None, "e1")


def test_a_client_of_another_epoch_needs_the_full_list() -> None:
    assert board(registration(1), revision=4).needs_full(4, "e0")


def test_a_client_that_does_not_tell_its_epoch_is_taken_to_be_of_this_one() -> None:
    assert not board(registration(1), revision=4).needs_full(4, None)


def test_a_client_ahead_of_the_room_needs_the_full_list() -> None:
    assert board(registration(1), revision=4).needs_full(5, "e1")


@pytest.mark.parametrize(("since", "full"), [(2, True), (3, True), (4, False)])
def test_a_client_that_may_hold_a_removed_row_needs_the_full_list(since: int, full: bool) -> None:
    it = Board(retreat(registration(1), revision=5, removal_revision=3))
    assert it.needs_full(since, "e1") is full


def test_where_nothing_was_ever_removed_revision_0_needs_no_full_list() -> None:
    assert not board(registration(1)).needs_full(0, "e1")


def test_statistics_tell_how_much_there_is() -> None:
    it = board(registration(1, 1, memo=Memo(50, "a", "")), registration(2), groups=[Group(4)])
    accepted(it, AssignNumber(2, 7))
    assert it.statistics() == BoardStatistics(revision=1, registrations=2, groups=3, memos=1)


def test_changes_of_one_draft_are_applied_one_by_one() -> None:
    it = board(registration(1, 1), registration(2, 2))
    draft = it.draft(iter([50]))
    changes = [
        draft.decide(command(action), at(1))
        for action in (AssignNumber(1, 2), CreateMemo(1, "a", ""), AssignNumber(2, None))
    ]
    for change in changes:
        assert isinstance(change, Change)
        it.apply(change)
    assert (it.revision, it.members(2), it.memo_owner(50)) == (3, (1,), 1)
    assert (row(it, 1).total_count, row(it, 1).revision) == (1, 3)


def test_a_board_does_not_catch_up_with_an_earlier_revision() -> None:
    it = board(registration(1, 1), revision=4)
    before = contents(it)
    with pytest.raises(ValueError, match="revision 3 is lower than 4"):
        it.catch_up(3, [], [Group(1, "조")])
    assert contents(it) == before


def test_a_person_who_was_not_there_is_caught_up_with() -> None:
    it = board(registration(1, 1))
    new = registration(2, 1)
    changed = it.catch_up(1, [new], [])
    assert {row.id: row.total_count for row in changed} == {1: 2, 2: 2}
    assert (it.registration(2), it.members(1)) == (new, it.ordered_ids())
