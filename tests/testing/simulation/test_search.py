"""The checker finds something in just those small histories that nothing can explain."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.history import Answered, Delivered, History, Moment
from gbs_actor.testing.simulation.search import is_explained
from tests.testing.simulation.agreement import Agreement, small_history
from tests.testing.simulation.stories import Story, delivered_to, drop, find_last, move


@pytest.mark.parametrize("part", range(8))
def test_checker_and_search_agree(part: int) -> None:
    agreement = Agreement()
    for number in range(250):
        agreement.compare(f"{part} {number}")
    assert agreement.differ == []
    assert agreement.both["right"] > 50
    assert agreement.both["wrong"] > 50


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_what_is_dropped_doubled_or_altered_is_found_or_harmless(seed: int) -> None:
    history = small_history(f"any {seed}")
    assert bool(check(history)) is not is_explained(history)


@pytest.mark.parametrize("seed", ["agreement 8302"])
def test_they_agree_where_they_once_did_not(seed: str) -> None:
    """The answer to another command, where the client gave its own no id."""
    history = small_history(seed)
    assert bool(check(history)) is not is_explained(history)


def a_history(*, told: bool) -> History:
    """The first client moves a person; the second is sent that, or something else before it."""
    story = Story()
    story.move(0, 4, 3)
    story.settle()
    story.move(1, 3, 1)
    story.settle()
    history = story.history
    if not told:
        drop(history, delivered_to(history, 3))
    return history


def test_a_right_history_is_explained() -> None:
    assert is_explained(a_history(told=True))


def test_a_history_with_a_gap_is_not_explained() -> None:
    assert not is_explained(a_history(told=False))


def test_an_answer_before_its_row_is_not_explained() -> None:
    history = a_history(told=True)
    index = find_last(history, Answered)
    assert isinstance(history.moments[index - 1].event, Delivered)
    move(history, index, index - 1)
    assert not is_explained(history)


def test_without_anything_there_is_nothing_to_explain() -> None:
    history = a_history(told=True)
    assert is_explained(History(history.before, delayed=False, moments=list[Moment]()))
