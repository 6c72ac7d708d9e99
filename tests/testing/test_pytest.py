"""The fixtures, in test suites of somebody else: under pytest-trio, and under anyio's plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import pytest
{mark}

@pytest.fixture
def lineup_options():
    return {{"retreats": ["spring"], "people": 7}}

async def test_an_edit({clock}lineup):
    peer = await lineup.peer("plain", join="spring")
    assert len(await peer.event("initial-data")) == 7
    await peer.no_event("error", within=3600)

async def test_another({clock}lineup):
    assert lineup.store.slugs == ("spring",)
"""
PYTEST_TRIO = TEST.format(mark="pytestmark = pytest.mark.trio", clock="autojump_clock, ")
ANYIO = TEST.format(
    mark="""
from trio.testing import MockClock
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}
""",
    clock="",
)


@pytest.mark.parametrize(
    ("code", "without"), [(PYTEST_TRIO, "anyio"), (ANYIO, "trio")], ids=["pytest-trio", "anyio"]
)
def test_the_fixture_runs_a_server_for_a_test(tmp_path: Path, code: str, without: str) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["gbs_actor.testing.pytest"]')
    (tmp_path / "test_it.py").write_text(code)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", f"no:{without}", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in result.stdout, result.stdout + result.stderr
