"""A short run of every fuzz target, the same each time; more by ``python -m scripts.fuzz``."""

from __future__ import annotations

import pytest

from scripts.fuzz.running import NAMES, load, run

SEED = 20_241_125


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_in_a_short_run(name: str) -> None:
    target = load(name)
    report = run(target, target.slice, SEED)
    assert report.finding is None, report.details
    assert report.cases >= target.slice
