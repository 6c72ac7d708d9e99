"""A run that raises, or has no end, is a finding as any other."""

from __future__ import annotations

import pytest

from gbs_actor.testing.simulation import draw, examining
from gbs_actor.testing.simulation.examining import ENDLESS, Case, Outcome, examine


def test_a_run_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def simulate(*_: object, **__: object) -> None:
        while True:
            pass

    monkeypatch.setattr(examining, "simulate", simulate)
    monkeypatch.setattr(examining, "TIME_LIMIT", 0.05)
    monkeypatch.setattr(examining, "TIME_PER_STEP", 0.0)
    examined = examine(draw(0), "rooms")
    assert examined.rules == (ENDLESS,)
    assert "in simulate" in examined.found()[0]


def test_what_a_run_raises_is_found_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def simulate(*_: object, **__: object) -> None:
        raise BaseExceptionGroup("tasks", [LookupError("nothing there"), LookupError("nor there")])

    monkeypatch.setattr(examining, "simulate", simulate)
    outcome = Outcome.of(Case(0))
    assert outcome.rules == ("raises LookupError",)
    assert "nothing there" in outcome.found[0]
    assert outcome.hash == ""


def test_ctrl_c_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def simulate(*_: object, **__: object) -> None:
        raise BaseExceptionGroup("tasks", [KeyboardInterrupt()])

    monkeypatch.setattr(examining, "simulate", simulate)
    with pytest.raises(BaseExceptionGroup):
        examine(draw(0), "rooms")


def test_a_case_is_as_large_as_asked_for() -> None:
    plan = Case(4, clients=20, steps=500).plan()
    assert len(plan.clients) == 20
    assert 500 <= len(plan.steps) < 600  # some belong together
    assert Case(4).with_seed(5).plan() == draw(5)
