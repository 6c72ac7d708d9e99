"""Each attack on a small scale: newcomers are served and nothing is lost; no figure is judged.

At full scale: ``python -m scripts.attack``.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from scripts.attack.attacks import ATTACKS
from scripts.attack.figures import SERVED, Measured
from scripts.attack.running import Length, measure
from tests.e2e.server_process import ROOT


@pytest.mark.parametrize("name", ATTACKS)
async def test_people_work_on_while_a_small_attack_goes_on(name: str) -> None:
    measured = await measure(ATTACKS[name], Length(3.0, 0.5, scale=0.05))
    assert measured.alive
    assert measured.unsaved == []
    assert measured.refused == [], measured.reasons
    assert len(measured.newcomers.samples) >= 3
    assert len(measured.acks.samples) >= 20
    assert measured.attack["opened"] > 0, "there was no attack"


def test_no_other_target_can_be_named() -> None:
    for option in ("--url", "--host", "--target"):
        refused = subprocess.run(
            [sys.executable, "-m", "scripts.attack", option, "example.org"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 2
        assert "unrecognized arguments" in refused.stderr


def test_back_to_normal_is_the_end_of_the_last_late_edit() -> None:
    measured = Measured(began=0, ended=10, observed=20)
    measured.acks.add(9, 15)  # began before the end
    measured.acks.add(11, 12.5)
    measured.acks.add(13, 13.05)
    assert measured.back_to_normal() == 2.5
    measured.refused.append(11)
    assert measured.back_to_normal() == 1 + SERVED
    measured.acks.add(19, 21)
    assert measured.back_to_normal() == float("inf")


def test_a_target_is_missed_where_somebody_was_not_served() -> None:
    measured = Measured(began=0, ended=10, observed=20, memory=50 * 2**20)
    measured.acks.add(1, 1.01)
    measured.newcomers.add(1, 1.2)
    assert all(measured.targets().values())
    measured.refused.append(3)
    assert [name for name, met in measured.targets().items() if not met] == [
        "every newcomer served"
    ]


def test_a_server_that_has_ended_meets_no_target_of_time() -> None:
    measured = Measured(began=0, ended=10, observed=20, alive=False)
    measured.acks.add(1, 1.01)
    met = measured.targets()
    assert not met["p99 below 100 ms"]
    assert not met["maximum below 500 ms"]
    assert not met["nothing lost"]
