from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.chromium import running_chromium
from tests.e2e.page import served_page
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

HERE = Path(__file__).parent

TRANSPORTS = {
    "polling": "polling",
    "websocket": "websocket",
    "upgrade": "polling,websocket",
}
"""The ways of a stock client through the network, by name."""


@pytest.fixture(scope="module")
def server(page: str) -> Iterator[ServerProcess]:
    """One demo server for the tests of a module, which lets the page in."""
    with running_server(environment={"GBS_ALLOWED_ORIGINS": page}) as running:
        yield running


@pytest.fixture(scope="session")
def drivers_folder(pytestconfig: pytest.Config) -> Path:
    """Where the drivers are; with their packages only if :func:`node` is asked for."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("stock-clients")
    for file in (HERE / "node").iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def node(drivers_folder: Path) -> str:
    """Node.js, with the stock JavaScript client installed on first use."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    manifest = (drivers_folder / "package.json").read_text()
    installed = drivers_folder / "installed"
    if not installed.exists() or installed.read_text() != manifest:
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        result = subprocess.run(
            command, cwd=drivers_folder, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            pytest.fail(f"npm could not install socket.io-client:\n{result.stderr}")
        installed.write_text(manifest)
    return node


@pytest.fixture(scope="session")
def node_drivers(node: str, drivers_folder: Path) -> dict[str, list[str]]:
    """The commands that run the stock JavaScript client in Node, by transports."""
    driver = str(drivers_folder / "driver.mjs")
    return {name: [node, driver, transports] for name, transports in TRANSPORTS.items()}


@pytest.fixture(scope="session")
def page(drivers_folder: Path) -> Iterator[str]:
    """The origin of a page that the servers of these tests know."""
    with served_page(drivers_folder) as origin:
        yield origin


@pytest.fixture(scope="session")
def foreign_page(drivers_folder: Path) -> Iterator[str]:
    """The origin of a page that they do not know, with the same cookies."""
    with served_page(drivers_folder) as origin:
        yield origin


@pytest.fixture(scope="session")
def chromium(node: str, drivers_folder: Path) -> Iterator[str]:
    """Where ``browser.mjs`` reaches a running Chromium."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed (Debian's package chromium)")
    with running_chromium(node, executable, drivers_folder) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def chromium_drivers(
    node_drivers: dict[str, list[str]], chromium: str, page: str, drivers_folder: Path
) -> dict[str, list[str]]:
    """The commands that run the stock client in a page of Chromium, by transports."""
    return _in_pages(node_drivers, drivers_folder, chromium, page)


@pytest.fixture(scope="session")
def foreign_drivers(
    node_drivers: dict[str, list[str]], chromium: str, foreign_page: str, drivers_folder: Path
) -> dict[str, list[str]]:
    """The same in the page that the servers do not know."""
    return _in_pages(node_drivers, drivers_folder, chromium, foreign_page)


def _in_pages(
    node_drivers: dict[str, list[str]], folder: Path, chromium: str, page: str
) -> dict[str, list[str]]:
    driver = str(folder / "browser.mjs")
    return {
        name: [node, driver, transports, chromium, page]
        for name, (node, _, transports) in node_drivers.items()
    }


@pytest.fixture(
    params=[
        pytest.param("node_drivers", marks=pytest.mark.node, id="node"),
        pytest.param(
            "chromium_drivers", marks=[pytest.mark.node, pytest.mark.browser], id="chromium"
        ),
    ]
)
def drivers(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """The commands for every transport; a test with it runs in Node and in Chromium."""
    commands: dict[str, list[str]] = request.getfixturevalue(request.param)
    return commands


@pytest.fixture(params=TRANSPORTS)
def any_driver(request: pytest.FixtureRequest, drivers: dict[str, list[str]]) -> list[str]:
    """One of :func:`drivers`; a test with it runs once with each."""
    return drivers[request.param]


@pytest.fixture(
    params=[
        pytest.param(("node", "websocket"), marks=pytest.mark.node, id="socket.io-client"),
        pytest.param(
            ("node", "polling"), marks=pytest.mark.node, id="socket.io-client over polling"
        ),
        pytest.param(("python", "websocket"), id="python-socketio"),
        pytest.param(("python", "polling"), id="python-socketio over polling"),
    ]
)
def driver(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs a stock client; a test with it runs once with each."""
    kind, transport = request.param
    if kind == "node":
        commands: dict[str, list[str]] = request.getfixturevalue("node_drivers")
        return commands[transport]
    return [sys.executable, str(HERE / "python_driver.py"), transport]


@pytest.fixture(scope="module")
def _turns() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def people(server: ServerProcess, _turns: Iterator[int]) -> list[dict[str, Any]]:
    """Rows to work on: no leaders', and without a memo; other ones first in every test."""
    rows = server.get(f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token())
    free = sorted(
        (
            row
            for row in rows["userRetreatGbsLineups"]
            if not row["isLeader"] and row["lineupMemoId"] is None
        ),
        key=lambda row: int(row["id"]),
    )
    first = 2 * next(_turns) % len(free)
    return free[first:] + free[:first]


@pytest.fixture
def person(people: list[dict[str, Any]]) -> dict[str, Any]:
    """A row to work on."""
    return people[0]


@pytest.fixture
def other_person(people: list[dict[str, Any]]) -> dict[str, Any]:
    """Another such row."""
    return people[1]
