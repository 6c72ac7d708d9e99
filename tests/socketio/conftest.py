"""Every test here that waits does so on a clock that jumps."""

from __future__ import annotations

import pytest
from trio.testing import MockClock


@pytest.fixture
def clock() -> MockClock:
    """A clock that jumps to the next deadline as soon as every task waits."""
    return MockClock(autojump_threshold=0)
