from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.drivers import TRANSPORTS, Driver, Drivers, over_each_transport, running_program
from tests.e2e.page import served_page
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.node_packages import install, locked, node_and_npm

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(page: str) -> Iterator[ServerProcess]:
    """One demo server for the tests of a module, which lets the page in."""
    with running_server(environment={"GBS_ALLOWED_ORIGINS": page}) as running:
        yield running


@pytest.fixture(scope="session")
def drivers_folder(pytestconfig: pytest.Config) -> Path:
    """Where the drivers are; with their packages only if :func:`node` is asked for.

    Test runs side by side share it, so that the packages are installed once.
    """
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("stock-clients")
    with locked(folder):
        for file in (HERE / "node").iterdir():
            copy = folder / file.name
            if not copy.exists() or copy.read_bytes() != file.read_bytes():
                shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def node(drivers_folder: Path) -> str:
    """Node.js, with the stock JavaScript client installed on first use."""
    node, npm = node_and_npm()
    install(npm, drivers_folder)
    return node


@pytest.fixture(scope="session")
def node_drivers(node: str, drivers_folder: Path) -> Iterator[Drivers]:
    """The stock JavaScript client in Node, by transports."""
    with running_program([node, str(drivers_folder / "driver.mjs")]) as port:
        yield over_each_transport(port)


@pytest.fixture(scope="session")
def python_drivers() -> Iterator[Drivers]:
    """python-socketio's client, by transports."""
    with running_program([sys.executable, str(HERE / "python_driver.py")]) as port:
        yield over_each_transport(port)


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
def chromium(node: str, drivers_folder: Path) -> Iterator[int]:
    """Where pages of one Chromium are to be had, each with a profile of its own."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed (Debian's package chromium)")
    with running_program([node, str(drivers_folder / "browser.mjs"), executable]) as port:
        yield port


@pytest.fixture(scope="session")
def pages(node: str, drivers_folder: Path) -> Iterator[int]:
    """Where pages of one Chromium are to be had that are used as a person would."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed (Debian's package chromium)")
    with running_program([node, str(drivers_folder / "pages.mjs"), executable]) as port:
        yield port


@pytest.fixture(scope="session")
def chromium_drivers(chromium: int, page: str) -> Drivers:
    """The stock client in a page of Chromium, by transports."""
    return over_each_transport(chromium, page)


@pytest.fixture(scope="session")
def foreign_drivers(chromium: int, foreign_page: str) -> Drivers:
    """The same in the page that the servers do not know."""
    return over_each_transport(chromium, foreign_page)


@pytest.fixture(
    params=[
        pytest.param("node_drivers", marks=pytest.mark.node, id="node"),
        pytest.param(
            "chromium_drivers", marks=[pytest.mark.node, pytest.mark.browser], id="chromium"
        ),
    ]
)
def drivers(request: pytest.FixtureRequest) -> Drivers:
    """The drivers for every transport; a test with it runs in Node and in Chromium."""
    drivers: Drivers = request.getfixturevalue(request.param)
    return drivers


@pytest.fixture(params=TRANSPORTS)
def any_driver(request: pytest.FixtureRequest, drivers: Drivers) -> Driver:
    """One of :func:`drivers`; a test with it runs once with each."""
    return drivers[request.param]


@pytest.fixture(
    params=[
        pytest.param(("node_drivers", "websocket"), marks=pytest.mark.node, id="socket.io-client"),
        pytest.param(
            ("node_drivers", "polling"), marks=pytest.mark.node, id="socket.io-client over polling"
        ),
        pytest.param(("python_drivers", "websocket"), id="python-socketio"),
        pytest.param(("python_drivers", "polling"), id="python-socketio over polling"),
    ]
)
def driver(request: pytest.FixtureRequest) -> Driver:
    """Makes a stock client; a test with it runs once with each."""
    fixture, transports = request.param
    drivers: Drivers = request.getfixturevalue(fixture)
    return drivers[transports]


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
