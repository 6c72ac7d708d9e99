from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One demo server for the tests of a module."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def node_driver(pytestconfig: pytest.Config) -> list[str]:
    """The command that runs the stock JavaScript client, installed on first use."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("stock-clients")
    manifest = (HERE / "node" / "package.json").read_text()
    installed = folder / "installed"
    if not installed.exists() or installed.read_text() != manifest:
        (folder / "package.json").write_text(manifest)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.fail(f"npm could not install socket.io-client:\n{result.stderr}")
        installed.write_text(manifest)
    shutil.copy(HERE / "node" / "driver.mjs", folder)
    return [node, str(folder / "driver.mjs")]


@pytest.fixture(
    params=[
        pytest.param("node", marks=pytest.mark.node, id="socket.io-client"),
        pytest.param("python", id="python-socketio"),
    ]
)
def driver(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs a stock client; a test with it runs once with each."""
    if request.param == "node":
        command: list[str] = request.getfixturevalue("node_driver")
        return command
    return [sys.executable, str(HERE / "python_driver.py")]


@pytest.fixture(scope="module")
def _people(server: ServerProcess) -> Iterator[dict[str, Any]]:
    rows = server.get(f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token())
    return (
        row
        for row in rows["userRetreatGbsLineups"]
        if not row["isLeader"] and row["lineupMemoId"] is None
    )


@pytest.fixture
def person(_people: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """A row that no other test touches: no leader's, and without a memo."""
    return next(_people)


@pytest.fixture
def other_person(_people: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Another such row."""
    return next(_people)
