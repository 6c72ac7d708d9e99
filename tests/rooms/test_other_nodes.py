"""Which other servers there are, and when they are asked for what."""

from __future__ import annotations

from gbs_actor.rooms.other_nodes import REPEAT, TIMEOUT, TOGETHER, OtherNodes


def test_after_gaps_in_a_row_a_node_is_asked_for_all_rooms_once_in_a_while() -> None:
    nodes = OtherNodes()
    nodes.hear("b", 0, gap=False)  # the first of it is a gap
    assert nodes.requests([1, 2], 0) == []
    assert nodes.requests([1, 2], TOGETHER) == [(("b",), [1, 2])]
    nodes.receive("b", 1)
    nodes.receive("b", 2)
    nodes.hear("b", 0.5, gap=True)
    assert nodes.requests([1, 2], 1) == []
    assert nodes.requests([1, 2], TOGETHER + REPEAT) == [(("b",), [1, 2])]


def test_a_node_that_is_not_heard_of_is_silent_then() -> None:
    nodes = OtherNodes()
    nodes.hear("b", 1, gap=False)
    assert nodes.silent(TIMEOUT) == []
    assert nodes.silent(1 + TIMEOUT) == ["b"]
