"""What a client leaves behind is freed by its last reference, without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.gateway.client import Client
from gbs_actor.rooms import Subscriber
from gbs_actor.socketio import Channel, Outbox
from tests.gateway.world import Transport, world

EDIT = {"lineupId": 2, "gbsNumber": 3}


@pytest.fixture
def without_collector() -> Iterator[None]:
    """No object that is part of a cycle is freed within the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> list[str]:
    """Return the objects of clients that are still in memory."""
    kinds = (Channel, Client, Outbox, Subscriber)
    return [repr(each) for each in gc.get_objects() if isinstance(each, kinds)]


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("transport", ["socketio", "plain"])
async def test_a_client_that_has_left_is_freed_at_once(
    transport: Transport, autojump_clock: MockClock
) -> None:
    async with world() as here:
        async with here.joined_by(transport) as peer:
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
            assert alive() != []
        await trio.sleep(100)
        assert alive() == []
