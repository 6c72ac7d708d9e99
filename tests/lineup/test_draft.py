from __future__ import annotations

from datetime import datetime
from itertools import count
from uuid import UUID

import pytest

from gbs_actor.lineup.changes import Change, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    Kind,
    UpdateMemo,
)
from gbs_actor.lineup.records import Memo
from tests.lineup.making import at, board, command, contents, registration


def test_a_command_is_decided_on_top_of_those_before_it() -> None:
    draft = board(registration(1, 1), registration(2, 2)).draft(iter(()))
    draft.decide(command(AssignNumber(1, 2)), at(1))
    second = draft.decide(command(AssignNumber(2, 1)), at(2))
    assert isinstance(second, Change)
    assert second.revision == 2
    assert [(row.id, row.total_count) for row in second.rows] == [(2, 1), (1, 1)]


def test_a_draft_leaves_its_board_as_it_is() -> None:
    it = board(registration(1, 1, memo=Memo(50, "a", "")), registration(2, 2))
    before = contents(it)
    draft = it.draft(count(60))
    for action in (AssignNumber(1, 2), DeleteMemo(50), CreateMemo(2, "b", "")):
        draft.decide(command(action), at(1))
    assert contents(it) == before
    assert (it.memo_owner(50), it.memo_owner(60)) == (1, None)


def test_a_draft_shows_rows_as_they_will_be() -> None:
    draft = board(registration(1, 1), registration(2, 2)).draft(iter(()))
    change = draft.decide(command(AssignNumber(1, 2)), at(1))
    assert isinstance(change, Change)
    assert draft.row(1) == change.row
    neighbour = draft.row(2)
    assert neighbour is not None
    assert neighbour.total_count == 2
    assert draft.row(3) is None


def test_a_memo_created_in_the_draft_can_be_updated_and_deleted_there() -> None:
    draft = board(registration(1)).draft(iter([60]))
    draft.decide(command(CreateMemo(1, "a", "")), at(1))
    assert draft.memo_owner(60) == 1
    updated = draft.decide(command(UpdateMemo(60, "b", "")), at(2))
    deleted = draft.decide(command(DeleteMemo(60)), at(3))
    assert isinstance(updated, Change)
    assert isinstance(deleted, Change)
    assert draft.memo_owner(60) is None


def test_a_memo_deleted_in_the_draft_is_not_found_there() -> None:
    draft = board(registration(1, memo=Memo(50, "a", ""))).draft(iter(()))
    draft.decide(command(DeleteMemo(50)), at(1))
    rejection = draft.decide(command(UpdateMemo(50, "b", "")), at(2))
    assert isinstance(rejection, Rejection)
    assert rejection.code is Code.NOT_FOUND


def test_a_change_earlier_in_the_same_draft_conflicts() -> None:
    draft = board(registration(1, 1), revision=4).draft(iter(()))
    draft.decide(command(AssignNumber(1, 2)), at(1))
    rejection = draft.decide(command(AssignNumber(1, 3), base=4), at(2))
    assert isinstance(rejection, Rejection)
    assert rejection.code is Code.CONFLICT
    assert rejection.conflict is not None
    assert (rejection.conflict.theirs, rejection.conflict.revision) == (2, 5)
    assert rejection.row == draft.row(1)


def test_a_base_revision_may_be_one_that_only_the_draft_has_reached() -> None:
    draft = board(registration(1, 1), revision=4).draft(iter(()))
    draft.decide(command(AssignNumber(1, 2)), at(1))
    assert isinstance(draft.decide(command(AssignNumber(1, 3), base=5), at(2)), Change)
    assert isinstance(draft.decide(command(AssignNumber(1, 4), base=7), at(2)), Rejection)


def test_a_fence_takes_a_revision_and_touches_nothing() -> None:
    it = board(registration(1, 1), revision=4)
    draft = it.draft(iter(()))
    fence = draft.fence(UUID(int=9), at(1))
    assert draft.revision == 5
    assert fence == Change(
        revision=5,
        command_id=UUID(int=9),
        author=None,
        kind=Kind.FENCE,
        at=at(1),
        request=b'{"action":"fence"}',
    )
    before = it.rows()
    it.apply(fence)
    assert (it.revision, it.rows()) == (5, before)


def test_commands_are_decided_on_top_of_a_fence() -> None:
    draft = board(registration(1, 1)).draft(iter(()))
    draft.fence(UUID(int=9), at(1))
    change = draft.decide(command(AssignNumber(1, 2)), at(2))
    assert isinstance(change, Change)
    assert change.revision == 2


_LEADER_WITH_MEMO = registration(1, 1, leader=True, memo=Memo(50, "a", ""))


@pytest.mark.parametrize(
    ("action", "base", "code"),
    [
        (AssignNumber(9, 0), 99, Code.NOT_FOUND),
        (CreateMemo(9, "", ""), 99, Code.NOT_FOUND),
        (UpdateMemo(9, "", ""), 99, Code.NOT_FOUND),
        (DeleteMemo(9), 99, Code.NOT_FOUND),
        (AssignNumber(1, 2), 99, Code.VALIDATION_FAILED),
        (AssignNumber(1, 0), None, Code.VALIDATION_FAILED),
        (CreateMemo(1, "", ""), None, Code.VALIDATION_FAILED),
    ],
    ids=str,
)
def test_what_does_not_exist_is_said_before_what_is_wrong_and_that_before_the_rest(
    action: Action, base: int | None, code: Code
) -> None:
    draft = board(_LEADER_WITH_MEMO).draft(iter(()))
    rejection = draft.decide(command(action, base=base), at(1))
    assert isinstance(rejection, Rejection)
    assert rejection.code is code


def test_a_command_whose_decision_fails_leaves_the_draft_as_it_was() -> None:
    draft = board(registration(1, 1), registration(2, 2)).draft(iter(()))
    before = draft.row(1), draft.row(2)
    with pytest.raises(ValueError, match="naive"):
        draft.decide(
            command(AssignNumber(1, 2)),
            datetime(2024, 1, 5),
        )
    assert (draft.revision, draft.row(1), draft.row(2)) == (0, *before)
