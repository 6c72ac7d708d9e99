"""A short run of every fuzz target, the same each time; more by ``python -m scripts.fuzz``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from scripts.fuzz.random_cases import run_random
from scripts.fuzz.session_machine import SessionMachine
from scripts.fuzz.target import NAMES, load

SEED = 20_241_125


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_in_a_short_run(name: str) -> None:
    target = load(name)
    report = run_random(target, target.slice, SEED)
    assert report.cases == target.slice
    assert [finding.details for finding in report.findings] == []


def test_the_session_machine_does_what_its_model_says() -> None:
    options = settings(
        max_examples=60,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(SEED)(SessionMachine), settings=options)
