"""Hints are coalesced, and bounded."""

from __future__ import annotations

from gbs_actor.bus import Hint, Hints
from gbs_actor.bus.hints import HintMap


def test_of_a_retreat_the_highest_revision_is_kept() -> None:
    hints = HintMap()
    for revision in (4, 6, 5):
        hints.add(Hint(1, "e", revision))
    hints.add(Hint(2, "e", 1))
    assert hints.take() == Hints((Hint(1, "e", 6), Hint(2, "e", 1)), gap=False)


def test_revisions_of_two_epochs_are_not_compared() -> None:
    hints = HintMap()
    hints.add(Hint(1, "old", 400))
    hints.add(Hint(1, "new", 1))
    assert set(hints.take().latest) == {Hint(1, "old", 400), Hint(1, "new", 1)}


def test_what_was_taken_is_gone() -> None:
    hints = HintMap()
    hints.add(Hint(1, "e", 1))
    hints.add_gap()
    assert hints
    hints.take()
    assert not hints
    assert hints.take() == Hints((), gap=False)


def test_beyond_the_limit_it_drops_all_and_has_a_gap() -> None:
    hints = HintMap(limit=2)
    assert hints.update([Hint(1, "e", 1), Hint(2, "e", 1), Hint(1, "e", 2)])
    assert not hints.update([Hint(3, "e", 1)])
    assert hints.take() == Hints((), gap=True)
