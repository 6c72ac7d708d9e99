"""What a decision costs, counted and not timed."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.commands import Action, AssignNumber, CreateMemo, UpdateMemo
from gbs_actor.lineup.records import Memo
from tests.lineup.making import accepted, board, registration

_ACTIONS: list[Action] = [
    AssignNumber(1, 2),
    AssignNumber(1, None),
    AssignNumber(1, 9_000),
    AssignNumber(3, 1),
    CreateMemo(1, "a", ""),
    UpdateMemo(50, "b", ""),
    AssignNumber(1, 1),
]


def _board(people: int) -> Board:
    """Groups of four, and every tenth person in none."""
    return board(
        *(
            registration(
                id_,
                None if id_ % 10 == 3 else id_ // 4 + 1,
                memo=Memo(50, "a", "") if id_ == 2 else None,
            )
            for id_ in range(1, people + 1)
        )
    )


def _lines_run(work: Callable[[], object]) -> int:
    """Count the lines of Python that a piece of work runs, loops counted each time."""
    lines = 0

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(former)
    return lines


@pytest.mark.parametrize("action", _ACTIONS, ids=str)
def test_a_decision_runs_the_same_lines_in_a_retreat_of_any_size(action: Action) -> None:
    small, large = _board(100), _board(10_000)
    for it in (small, large):
        it.rows()
    assert _lines_run(lambda: accepted(large, action)) == _lines_run(
        lambda: accepted(small, action)
    )


@pytest.mark.parametrize("action", _ACTIONS, ids=str)
def test_a_decision_copies_nothing_of_the_size_of_the_retreat(action: Action) -> None:
    it = _board(10_000)
    it.rows()
    tracemalloc.start()
    try:
        accepted(it, action)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A copy of any of the board's tables would take 80,000 bytes at the least.
    assert peak < 40_000


def test_a_change_has_the_rows_of_the_touched_groups_and_no_others() -> None:
    it = _board(10_000)
    assert len(accepted(it, AssignNumber(1, 2)).rows) == 2 + 4
