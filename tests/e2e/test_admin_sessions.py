"""Stock clients as operators see them: what carries them, and how long a ping takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio

from tests.e2e.drivers import Driver
from tests.e2e.in_room import BETWEEN_LOOKS, assignment, in_room
from tests.e2e.screen import Row
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import TIMEOUT

PING_INTERVAL = 0.3
USER = 70


@pytest.fixture(scope="module")
def server(page: str) -> Iterator[ServerProcess]:
    """A server that pings often."""
    environment = {"GBS_ALLOWED_ORIGINS": page, "GBS_PING_INTERVAL": str(PING_INTERVAL)}
    with running_server(environment=environment) as running:
        yield running


def operator() -> str:
    return token(**OPERATOR)  # type: ignore[arg-type]


async def pinged(server: ServerProcess, sid: str) -> dict[str, Any]:
    """Return a session, once it has answered a ping and has been sent everything."""
    with trio.fail_after(TIMEOUT):
        while True:
            page = server.get(f"/admin/sessions?search={sid}&sort=-roundTrip", operator())
            if page["total"] == 1:
                session: dict[str, Any] = page["sessions"][0]
                sent = session["queued"] == session["lag"] == 0
                if sent and session["roundTrip"] is not None:
                    return session
            await trio.sleep(BETWEEN_LOOKS)


async def test_operators_see_transport_and_round_trip_of_a_stock_client(
    any_driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room([any_driver], server.url, first_user=USER) as (client,):
        if any_driver.upgrades:
            assert await client.event("upgrade") == "websocket"
        answer = await client.ask(*assignment(person, 3))
        sid = (await client.facts()).id
        assert sid is not None
        session = await pinged(server, sid)
        assert session["userId"] == USER
        assert session["protocol"] == "socket.io"
        assert session["transport"] == any_driver.last_transport
        assert 0 < session["roundTrip"] < 5
        assert (session["room"], session["address"]) == (RETREAT, "127.0.0.1")
        subscribers = {each["sid"]: each for each in server.room()["subscribers"]}
        sink = subscribers[session["sid"]]["sink"]
        assert (sink["protocol"], sink["transport"]) == ("socket.io", any_driver.last_transport)
        assert 0 < sink["roundTrip"] < 5
        whole = server.get(f"/admin/sessions/{session['sid']}", operator())
        assert whole["sentRevision"] == answer["revision"]
        assert whole["receivedEvents"] == 2
        if any_driver.page is not None:
            assert "Chrome" in whole["userAgent"]
