"""Commands of authors who are not in the room, and what they rest on."""

from __future__ import annotations

from itertools import count

import pytest

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Action, AssignNumber, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.lineup.records import Memo, Stamp
from tests.lineup.making import JIWON, MINSU, accepted, at, board, command, registration, row


def outside(
    it: Board, action: Action, *, base: int | None = None, epoch: str | None = None
) -> Change | Rejection:
    draft = it.draft(count(500))
    return draft.decide(command(action, base=base, epoch=epoch, outside=True), at(40))


def conflicts(outcome: Change | Rejection) -> bool:
    return isinstance(outcome, Rejection) and outcome.code is Code.CONFLICT


WRITES: list[tuple[Action, list[Action]]] = [
    (AssignNumber(1, 2), [AssignNumber(1, 3)]),
    (UpdateMemo(50, "새 메모", ""), [UpdateMemo(50, "다른 메모", ""), DeleteMemo(50)]),
    (DeleteMemo(50), [CreateMemo(1, "다른 메모", "")]),
]


def with_memo() -> Board:
    return board(registration(1, 1, memo=Memo(50, "메모", "")))


@pytest.mark.parametrize(("theirs", "mine"), WRITES)
def test_without_a_base_what_somebody_else_wrote_last_stays(
    theirs: Action, mine: list[Action]
) -> None:
    for action in mine:
        it = with_memo()
        accepted(it, theirs, by=MINSU, seconds=30)
        outcome = outside(it, action)
        assert isinstance(outcome, Rejection)
        assert outcome.code is Code.CONFLICT
        assert outcome.row == row(it, 1)
        assert outcome.conflict is not None
        assert (outcome.conflict.changed_by, outcome.conflict.revision) == (MINSU.name, 1)


@pytest.mark.parametrize(("theirs", "mine"), WRITES)
def test_without_a_base_the_own_former_value_is_replaced(
    theirs: Action, mine: list[Action]
) -> None:
    for action in mine:
        it = with_memo()
        accepted(it, theirs, by=JIWON)
        assert isinstance(outside(it, action), Change)


@pytest.mark.parametrize(("theirs", "mine"), WRITES)
def test_what_nobody_has_written_since_the_import_is_replaced(
    theirs: Action, mine: list[Action]
) -> None:
    del mine
    assert isinstance(outside(with_memo(), theirs), Change)


def test_what_another_program_wrote_is_somebody_elses() -> None:
    stamp = Stamp(3, None, "", at(1))
    it = board(registration(1, 1, number_stamp=stamp), revision=3)
    assert conflicts(outside(it, AssignNumber(1, 2)))


def test_the_value_that_is_there_is_no_conflict() -> None:
    it = with_memo()
    accepted(it, AssignNumber(1, 2), by=MINSU)
    outcome = outside(it, AssignNumber(1, 2))
    assert isinstance(outcome, Change)
    assert outcome.rows == ()


def test_another_field_of_the_row_is_no_conflict() -> None:
    it = with_memo()
    accepted(it, AssignNumber(1, 2), by=MINSU)
    assert isinstance(outside(it, UpdateMemo(50, "새 메모", "")), Change)


def test_with_a_base_it_is_decided_as_in_the_room() -> None:
    it = with_memo()
    accepted(it, AssignNumber(1, 2), by=MINSU)
    assert conflicts(outside(it, AssignNumber(1, 3), base=0))
    assert isinstance(outside(it, AssignNumber(1, 3), base=1), Change)


def test_a_base_of_another_epoch_rests_on_nothing() -> None:
    it = with_memo()
    for base in (0, 1_000_000, None):
        outcome = outside(it, AssignNumber(1, 3), base=base, epoch="another")
        assert isinstance(outcome, Rejection)
        assert outcome.code is Code.CONFLICT
        assert outcome.conflict is not None
        assert outcome.conflict.theirs == 1
    assert isinstance(outside(it, AssignNumber(1, 1), base=0, epoch="another"), Change)
    assert isinstance(outside(it, AssignNumber(1, 3), base=0, epoch=it.epoch), Change)


def test_an_action_is_about_the_row_that_has_its_target() -> None:
    it = with_memo()
    assert it.target(AssignNumber(1, 3)) == 1
    assert it.target(DeleteMemo(50)) == 1
    assert it.target(AssignNumber(2, 3)) is None
    assert it.target(UpdateMemo(51, "x", "")) is None
