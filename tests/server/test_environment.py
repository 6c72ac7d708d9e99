"""What a server sends is a function of its environment and of what it is sent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from os import environ
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Run(NamedTuple):
    responses: list[str]
    asked: list[tuple[str, str]]


def run(seed: int, hash_seed: str) -> Run:
    """Run the script against a server of a seed, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.seeded_run", str(seed)],
        cwd=ROOT,
        env={**environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    responses, asked = json.loads(done.stdout.splitlines()[-1])
    return Run(responses, [(function, caller) for function, caller in asked])


def sids(run: Run) -> set[str]:
    found = set(re.findall(r'"sid":"([^"]+)"', "".join(run.responses)))
    assert found
    return found


@pytest.fixture(scope="module")
def first() -> Run:
    return run(7, "0")


def test_two_servers_of_one_seed_send_the_same_in_any_process(first: Run) -> None:
    assert run(7, "1").responses == first.responses


def test_another_seed_gives_other_ids_to_the_same_responses(first: Run) -> None:
    other = run(8, "0")
    assert not sids(other) & sids(first)
    assert [text[:12] for text in other.responses] == [text[:12] for text in first.responses]


def test_nothing_asks_the_machine_for_time_or_random_bytes(first: Run) -> None:
    assert set(first.asked) <= {
        ("time.perf_counter", "trio._core._mock_clock"),
        ("time.time", "logging"),
        ("time.time", "hypercorn.protocol.http_stream"),  # for its access log, which is off
        ("time.time", "hypercorn.protocol.ws_stream"),
    }


def test_all_dates_are_of_the_environments_clock(first: Run) -> None:
    everything = "".join(first.responses)
    dates = re.findall(r"\w{3}, \d\d \w{3} (\d{4}) [\d:]{8} GMT", everything)
    assert len(dates) >= len(first.responses)
    assert set(dates) == {"2023"}
    assert set(re.findall(r'"(?:at|updatedAt|expiresAt)":"(\d{4})', everything)) <= {"2023", "2024"}
    assert set(re.findall(r'"(?:at|closedAt)":(\d+)\.', everything)) == {"1700000000"}
