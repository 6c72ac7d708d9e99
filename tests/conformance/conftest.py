"""The apps under test, once a run, on both of the servers that may carry them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.conformance.clients import Site, Transport
from tests.conformance.processes import APPS, HOSTS, Process, running

_PATHS = {"engineio": "/engine.io/", "socketio": "/socket.io/"}


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Process]]:
    with running(tmp_path_factory.mktemp("apps")) as started:
        yield started


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    """What carries the app: our own listener, or stock Hypercorn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["polling", "websocket", "upgraded"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """What carries the session."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def engine(processes: dict[tuple[str, str], Process], host: str) -> AsyncIterator[Site]:
    """The app that sends every message of Engine.IO back."""
    async with AsyncExitStack() as stack:
        yield Site(processes[host, "engineio"].port(), _PATHS["engineio"], stack)


@pytest.fixture
async def socketio(processes: dict[tuple[str, str], Process], host: str) -> AsyncIterator[Site]:
    """The app that echoes events of Socket.IO."""
    async with AsyncExitStack() as stack:
        yield Site(processes[host, "socketio"].port(), _PATHS["socketio"], stack)


@pytest.fixture(params=APPS)
async def site(
    request: pytest.FixtureRequest, processes: dict[tuple[str, str], Process], host: str
) -> AsyncIterator[Site]:
    """Either app: rules of Engine.IO hold below Socket.IO, too."""
    app = request.param
    async with AsyncExitStack() as stack:
        yield Site(processes[host, app].port(), _PATHS[app], stack)
