"""What a client leaves behind is freed by its last reference, without the garbage collector."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.gateway.client import Client
from gbs_actor.rooms import Subscriber
from gbs_actor.socketio import Channel, Outbox
from tests.freeing import freed
from tests.gateway.serving import Transport, world

EDIT = {"lineupId": 2, "gbsNumber": 3}


@pytest.mark.parametrize("transport", ["socketio", "plain"])
async def test_a_client_that_has_left_is_freed_at_once(
    transport: Transport, autojump_clock: MockClock
) -> None:
    async with world() as here:
        with freed(Channel, Client, Outbox, Subscriber):
            async with here.joined_by(transport) as peer:
                assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
            del peer
            await trio.sleep(100)
