from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.records import Group, Memo, Retreat
from tests.lineup.making import (
    accepted,
    at,
    contents,
    registration,
    retreat,
)
from tests.lineup.replaying import replay


def _start() -> Retreat:
    return retreat(
        registration(1, 1),
        registration(2, 1, memo=Memo(50, "a", "")),
        registration(3),
        revision=7,
        groups=[Group(2, "조장 미정", 5)],
    )


def _story() -> tuple[Board, list[LogEntry]]:
    it = Board(_start())
    actions: list[Action] = [
        AssignNumber(1, 2),
        AssignNumber(1, 2),
        CreateMemo(1, "b", "#FECACA"),
        UpdateMemo(50, "c", ""),
        DeleteMemo(50),
        AssignNumber(3, 4),
        AssignNumber(2, None),
    ]
    log = [
        LogEntry.of(accepted(it, action, seconds=second, memo_ids=iter([60])))
        for second, action in enumerate(actions)
    ]
    fence = it.draft(iter(())).fence(UUID(int=9), at(99))
    it.apply(fence)
    return it, [*log, LogEntry.of(fence)]


def test_replaying_the_log_gives_the_board() -> None:
    it, log = _story()
    assert contents(replay(_start(), log)) == contents(it)


def test_replaying_nothing_gives_the_board_at_the_start() -> None:
    assert contents(replay(_start(), [])) == contents(Board(_start()))


def test_a_gap_in_the_log_is_refused() -> None:
    _, log = _story()
    with pytest.raises(ValueError, match="does not follow"):
        replay(_start(), [*log[:2], *log[3:]])


def test_a_log_of_another_line_up_is_refused() -> None:
    _, log = _story()
    with pytest.raises(ValueError, match="does not fit"):
        replay(_start(), [replace(log[0], before=(FieldValue(Field.GBS_NUMBER, 9, 0, 1),))])


def test_a_log_of_somebody_who_is_not_there_is_refused() -> None:
    _, log = _story()
    stranger = FieldValue(Field.GBS_NUMBER, 1, 0, 9)
    with pytest.raises(ValueError, match="does not fit"):
        replay(_start(), [replace(log[0], before=(stranger,), after=(stranger,))])
