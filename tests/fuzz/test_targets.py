"""A short, always equal slice of every fuzzing target."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.progress import Progress

from scripts.fuzz.__main__ import run
from scripts.fuzz.target import NAMES, load


@pytest.mark.parametrize("name", NAMES)
def test_a_slice_of_the_cases_finds_nothing(name: str, tmp_path: Path) -> None:
    target = load(name)
    with Progress(disable=True) as progress:
        outcome = run(target, target.slice, 1, tmp_path, progress)
    assert outcome.findings == 0, sorted(each.name for each in tmp_path.iterdir())
