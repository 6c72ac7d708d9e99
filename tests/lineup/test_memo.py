from __future__ import annotations

from unicodedata import normalize

import pytest

from gbs_actor.lineup.changes import Conflict
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    Kind,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Memo, Stamp
from gbs_actor.lineup.undo import MemoIdsExhausted
from tests.lineup.making import (
    JIWON,
    MINSU,
    accepted,
    at,
    board,
    command,
    held,
    registration,
    rejected,
    row,
    values,
)

MEMO = Memo(50, "찬양팀", "#FECACA")


def test_a_created_memo_stands_on_the_row_under_a_fresh_id() -> None:
    it = board(registration(1))
    accepted(it, CreateMemo(1, "늦게 도착", "#BBF7D0"), memo_ids=iter([77]))
    assert row(it, 1).lineup_memo_id == 77
    assert (row(it, 1).lineup_memo, row(it, 1).lineup_memocolor) == ("늦게 도착", "#BBF7D0")
    assert it.memo_owner(77) == 1


def test_a_memo_changes_its_own_row_only() -> None:
    it = board(registration(1, 1), registration(2, 1))
    change = accepted(it, CreateMemo(1, "늦게 도착", ""))
    assert [each.id for each in change.rows] == [1]
    assert (change.groups, row(it, 2).revision) == ((), 0)


def test_a_memo_leaves_the_rows_totals_and_group_as_they_are() -> None:
    it = board(registration(1, 1), registration(2, 1))
    accepted(it, CreateMemo(1, "늦게 도착", ""))
    assert (row(it, 1).gbs_number, row(it, 1).total_count) == (1, 2)


def test_a_memo_is_stored_cleaned() -> None:
    it = board(registration(1))
    accepted(it, CreateMemo(1, " 늦게 도착 ", "#bbf7d0"))
    assert (row(it, 1).lineup_memo, row(it, 1).lineup_memocolor) == ("늦게 도착", "#BBF7D0")


def test_an_update_replaces_text_and_colour_and_keeps_the_id() -> None:
    it = board(registration(1, memo=MEMO))
    accepted(it, UpdateMemo(50, "방송팀", ""))
    assert (row(it, 1).lineup_memo, row(it, 1).lineup_memocolor) == ("방송팀", "")
    assert row(it, 1).lineup_memo_id == 50


def test_a_deleted_memo_is_gone_from_the_row() -> None:
    it = board(registration(1, memo=MEMO))
    accepted(it, DeleteMemo(50))
    assert (row(it, 1).lineup_memo, row(it, 1).lineup_memocolor) == ("", "")
    assert (row(it, 1).lineup_memo_id, it.memo_owner(50)) == (None, None)


def test_a_person_whose_memo_was_deleted_can_get_another_one() -> None:
    it = board(registration(1, memo=MEMO))
    accepted(it, DeleteMemo(50))
    accepted(it, CreateMemo(1, "방송팀", ""), memo_ids=iter([51]))
    assert (it.memo_owner(50), it.memo_owner(51)) == (None, 1)


@pytest.mark.parametrize(
    ("action", "kind", "before", "after"),
    [
        (CreateMemo(2, "a", ""), Kind.CREATE_MEMO, None, Memo(500, "a", "")),
        (
            UpdateMemo(50, "b", "#FFFFFF"),
            Kind.UPDATE_MEMO,
            Memo(50, "찬양팀", "#FECACA"),
            Memo(50, "b", "#FFFFFF"),
        ),
        (DeleteMemo(50), Kind.DELETE_MEMO, Memo(50, "찬양팀", "#FECACA"), None),
    ],
)
def test_the_change_says_what_the_memo_was_and_is(
    action: Action, kind: Kind, before: Memo | None, after: Memo | None
) -> None:
    it = board(registration(1, memo=MEMO), registration(2))
    change = accepted(it, action)
    assert (change.kind, values(change)) == (kind, ([before], [after]))


@pytest.mark.parametrize(
    "action", [CreateMemo(2, "a", ""), UpdateMemo(50, "b", ""), DeleteMemo(50)]
)
def test_the_memo_field_remembers_who_changed_it_last(action: Action) -> None:
    it = board(registration(1, memo=MEMO), registration(2), revision=4)
    change = accepted(it, action, by=MINSU, seconds=30)
    assert change.registration_id is not None
    changed = held(it, change.registration_id)
    assert changed.memo_stamp == Stamp(5, MINSU.user_id, MINSU.name, at(30))
    assert changed.updated_at == at(30)
    assert row(it, changed.id).updated_at == "2024-01-05T03:00:30.000Z"
    assert row(it, changed.id).revision == 5


@pytest.mark.parametrize(
    "action", [CreateMemo(1, "찬양팀", "#FECACA"), UpdateMemo(50, "찬양팀", "#fecaca")]
)
def test_the_memo_that_is_there_already_takes_a_revision_and_changes_nothing(
    action: Action,
) -> None:
    it = board(registration(1, memo=MEMO), revision=4)
    before = row(it, 1)
    change = accepted(it, action)
    assert (it.revision, row(it, 1), change.row) == (5, before, before)
    assert (change.registrations, change.groups, change.rows) == ((), (), ())
    assert values(change) == ([MEMO], [MEMO])
    assert change.before == change.after


def test_an_unknown_person_gets_no_memo() -> None:
    assert rejected(board(registration(1)), CreateMemo(2, "a", "")).code is Code.NOT_FOUND


@pytest.mark.parametrize("action", [UpdateMemo(51, "a", ""), DeleteMemo(51)])
def test_an_unknown_memo_is_not_found(action: Action) -> None:
    assert rejected(board(registration(1, memo=MEMO)), action).code is Code.NOT_FOUND


@pytest.mark.parametrize("action", [UpdateMemo(50, "a", ""), DeleteMemo(50)])
def test_a_deleted_memo_is_not_found(action: Action) -> None:
    it = board(registration(1, memo=MEMO))
    accepted(it, DeleteMemo(50))
    assert rejected(it, action).code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "action",
    [CreateMemo(2, "", ""), CreateMemo(2, "a", "red"), UpdateMemo(50, "a\x00", "")],
)
def test_a_memo_against_the_rules_is_refused(action: Action) -> None:
    it = board(registration(1, memo=MEMO), registration(2))
    assert rejected(it, action).code is Code.VALIDATION_FAILED


def test_a_leader_can_have_a_memo() -> None:
    it = board(registration(1, 1, leader=True))
    accepted(it, CreateMemo(1, "찬양팀", ""))
    assert row(it, 1).lineup_memo == "찬양팀"


def test_a_second_memo_on_the_same_person_conflicts() -> None:
    it = board(registration(1))
    accepted(it, CreateMemo(1, "찬양팀", ""), by=MINSU, seconds=30, memo_ids=iter([77]))
    rejection = rejected(it, CreateMemo(1, "방송팀", ""))
    assert rejection.code is Code.CONFLICT
    assert rejection.row == row(it, 1)
    assert rejection.conflict == Conflict(
        field=Field.LINEUP_MEMO,
        theirs=Memo(77, "찬양팀", ""),
        changed_by=MINSU.name,
        changed_by_id=MINSU.user_id,
        changed_at=at(30),
        revision=1,
    )


def test_a_second_memo_conflicts_even_where_its_author_was_up_to_date() -> None:
    it = board(registration(1, memo=MEMO), revision=9)
    assert rejected(it, CreateMemo(1, "방송팀", ""), base=9).code is Code.CONFLICT


def test_a_conflict_with_a_memo_that_nobody_here_wrote_names_nobody() -> None:
    conflict = rejected(board(registration(1, memo=MEMO)), CreateMemo(1, "방송팀", "")).conflict
    assert conflict is not None
    assert (conflict.changed_by, conflict.changed_by_id, conflict.changed_at) == ("", None, None)


def test_only_the_colour_being_different_is_a_conflict_too() -> None:
    it = board(registration(1, memo=MEMO))
    assert rejected(it, CreateMemo(1, "찬양팀", "")).code is Code.CONFLICT


@pytest.mark.parametrize("action", [UpdateMemo(50, "a", ""), DeleteMemo(50)])
def test_a_memo_changed_since_the_base_revision_conflicts(action: Action) -> None:
    it = board(registration(1, memo=MEMO), revision=7)
    accepted(it, UpdateMemo(50, "방송팀", ""), by=MINSU)
    rejection = rejected(it, action, base=7)
    assert rejection.code is Code.CONFLICT
    assert rejection.conflict is not None
    assert rejection.conflict.theirs == Memo(50, "방송팀", "")
    assert (rejection.conflict.revision, rejection.row) == (8, row(it, 1))


def test_creating_a_memo_where_one_was_deleted_since_the_base_revision_conflicts() -> None:
    it = board(registration(1, memo=MEMO), revision=7)
    accepted(it, DeleteMemo(50), by=MINSU)
    rejection = rejected(it, CreateMemo(1, "방송팀", ""), base=7)
    assert rejection.code is Code.CONFLICT
    assert rejection.conflict is not None
    assert rejection.conflict.theirs is None


@pytest.mark.parametrize("action", [UpdateMemo(50, "a", ""), DeleteMemo(50)])
def test_without_a_base_revision_the_later_memo_wins(action: Action) -> None:
    it = board(registration(1, memo=MEMO))
    accepted(it, UpdateMemo(50, "방송팀", ""), by=MINSU)
    accepted(it, action, by=JIWON)
    assert row(it, 1).lineup_memo != "방송팀"


def test_wanting_the_memo_that_the_other_one_wrote_is_no_conflict() -> None:
    it = board(registration(1, memo=MEMO))
    accepted(it, UpdateMemo(50, "방송팀", ""), by=MINSU)
    assert accepted(it, UpdateMemo(50, "방송팀", ""), base=0).rows == ()


def test_the_number_and_the_memo_of_a_person_do_not_conflict_with_each_other() -> None:
    it = board(registration(1, 1, memo=MEMO))
    accepted(it, AssignNumber(1, 2), by=MINSU)
    accepted(it, UpdateMemo(50, "방송팀", ""), base=0)
    accepted(it, AssignNumber(1, 3), base=1)
    assert (row(it, 1).gbs_number, row(it, 1).lineup_memo) == (3, "방송팀")


@pytest.mark.parametrize("base", [-1, 5])
@pytest.mark.parametrize(
    "action", [CreateMemo(2, "a", ""), UpdateMemo(50, "b", ""), DeleteMemo(50)]
)
def test_a_memo_based_on_a_revision_that_the_room_never_had_is_refused(
    action: Action, base: int
) -> None:
    it = board(registration(1, memo=MEMO), registration(2), revision=4)
    assert rejected(it, action, base=base).code is Code.VALIDATION_FAILED


def test_a_rejected_creation_takes_no_memo_id() -> None:
    it = board(registration(1, memo=MEMO), registration(2))
    memo_ids = iter([77])
    draft = it.draft(memo_ids)
    draft.decide(command(CreateMemo(1, "방송팀", "")), at(1))
    draft.decide(command(CreateMemo(2, "", "")), at(1))
    assert next(memo_ids) == 77


def test_a_creation_without_an_id_left_fails_and_leaves_the_draft_as_it_was() -> None:
    draft = board(registration(1)).draft(iter(()))
    with pytest.raises(MemoIdsExhausted):
        draft.decide(command(CreateMemo(1, "방송팀", "")), at(1))
    assert draft.revision == 0
    unchanged = draft.row(1)
    assert unchanged is not None
    assert unchanged.lineup_memo_id is None


COMPOSED, DECOMPOSED = (normalize(form, "늦게 도착") for form in ("NFC", "NFD"))


def test_a_memo_is_stored_in_the_form_in_which_it_was_typed() -> None:
    it = board(registration(1))
    accepted(it, CreateMemo(1, DECOMPOSED, ""))
    assert row(it, 1).lineup_memo == DECOMPOSED


def test_the_same_memo_in_another_normalization_form_is_no_conflict_and_no_change() -> None:
    it = board(registration(1, memo=Memo(50, COMPOSED, "#FECACA")))
    created = accepted(it, CreateMemo(1, DECOMPOSED, "#FECACA"))
    updated = accepted(it, UpdateMemo(50, DECOMPOSED, "#FECACA"), base=0)
    assert created.rows == updated.rows == ()
    assert row(it, 1).lineup_memo == COMPOSED
