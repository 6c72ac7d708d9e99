"""Every test here that waits does so on a clock that jumps."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.socketio.peer import MemoryListener


@pytest.fixture
def clock() -> MockClock:
    """A clock that jumps to the next deadline as soon as every task waits."""
    return MockClock(autojump_threshold=0)


@pytest.fixture(params=["task", "plane"])
def drivers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve each WebSocket of a test by a task of its own, and then all of them by the plane."""
    monkeypatch.setattr(MemoryListener, "over_sockets", request.param == "plane")
