from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.client.peer import Peer, running_peer


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with running_peer() as running:
        yield running
