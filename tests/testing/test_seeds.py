"""A run is a function of its seed, to the byte, in any process."""

from __future__ import annotations

import json
import subprocess
import sys
from os import environ
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(seed: int, hash_seed: str) -> dict[str, Any]:
    """Run peers and a client against a server of a seed, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.testing.seeded_run", str(seed)],
        cwd=ROOT,
        env={**environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def first() -> dict[str, Any]:
    return run(7, "0")


@pytest.fixture(scope="module")
def again() -> dict[str, Any]:
    return run(7, "1")


@pytest.mark.parametrize("what", ["peers", "bytes of peers", "client", "pieces of the client"])
def test_two_runs_of_one_seed_are_equal(
    first: dict[str, Any], again: dict[str, Any], what: str
) -> None:
    assert first[what] == again[what]


def test_another_seed_gives_another_run(first: dict[str, Any]) -> None:
    other = run(8, "0")
    assert other["bytes of peers"] != first["bytes of peers"]
    assert other["pieces of the client"] != first["pieces of the client"]
    assert other["client"]["connections"] == first["client"]["connections"] == 2
