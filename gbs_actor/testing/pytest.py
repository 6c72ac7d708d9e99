"""Fixtures for pytest: ``pytest_plugins = ["gbs_actor.testing.pytest"]`` in a ``conftest.py``.

They work under pytest-trio, and under anyio's plugin with its Trio backend; the clock is the
test's. With pytest-trio ask for its ``autojump_clock`` as well; with anyio the backend has it::

    @pytest.fixture
    def anyio_backend():
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gbs_actor.testing.server import LineupServer, lineup_server


@pytest.fixture
def lineup_options() -> dict[str, Any]:
    """Return arguments of ``lineup_server`` for ``lineup``; override it for others."""
    return {}


@pytest.fixture
async def lineup(lineup_options: dict[str, Any]) -> AsyncIterator[LineupServer]:
    """Run a whole line-up server for the length of a test."""
    async with lineup_server(**lineup_options) as server:
        yield server
