"""Whose turn a request takes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.environment import SYSTEM
from gbs_actor.socketio import TrustedProxies
from gbs_actor.socketio.net.front_door.turns import Turns

PROXY = "10.0.0.1"


def head(forwarded: str, *, body: bytes = b"") -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: %b\r\n\r\n" % forwarded.encode() + body


async def addresses(*requests: tuple[str | None, bytes]) -> int:
    """Return how many addresses these requests count for, by their peers and their heads."""
    turns = Turns(TrustedProxies([PROXY]), SYSTEM.thread_time)
    async with trio.open_nursery() as nursery:
        for peer, received in requests:
            nursery.start_soon(turns.turn, peer, received)
        await wait_all_tasks_blocked()
        keys = turns.statistics().keys
        nursery.cancel_scope.cancel()
    assert turns.statistics().waiting == turns.statistics().keys == 0
    return keys


async def test_behind_a_trusted_proxy_each_client_has_its_own_turn(clock: MockClock) -> None:
    clients = [(PROXY, head(f"192.0.2.{number}")) for number in range(3)]
    assert await addresses(*clients, ("192.0.2.1", b"GET / HTTP/1.1\r\n")) == 3


async def test_the_client_of_a_malformed_or_incomplete_head_is_known_too(clock: MockClock) -> None:
    malformed = head("192.0.2.1").replace(b"GET / HTTP/1.1", b"GET")
    assert await addresses((PROXY, malformed), (PROXY, head("192.0.2.1")[:-2])) == 1


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(
            [("192.0.2.9", head(f"192.0.2.{number}")) for number in range(3)], id="no proxy"
        ),
        pytest.param(
            [(PROXY, head(f"192.0.2.{number}, 192.0.2.9")) for number in range(3)], id="its own"
        ),
        pytest.param(
            [(PROXY, head("192.0.2.9", body=head(f"192.0.2.{number}"))) for number in range(3)],
            id="in the body",
        ),
    ],
)
async def test_a_client_cannot_forge_other_turns(
    clock: MockClock, requests: list[tuple[str, bytes]]
) -> None:
    assert await addresses(*requests) == 1
