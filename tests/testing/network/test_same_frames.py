"""The same clients get the same bytes, whatever drives their connections."""

from __future__ import annotations

import select
from functools import partial
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from gbs_actor.socketio import open_plane
from gbs_actor.testing.network import (
    PERFECT,
    Address,
    Conditions,
    Descriptors,
    SimListener,
    SimStream,
    sim_plane,
)
from tests.socketio.net.socket_listener import SocketListener
from tests.testing.network.scripts import ENDS, Network, Outcome, play

LATENCY = 0.002  # seconds: what one step of a client causes has ended before the next one
SOCKET_ENDS = tuple(end for end in ENDS if end != "reset")


class StreamsOnly(trio.abc.Listener[SimStream]):
    """A listener that gives out streams, as one for TLS does."""

    def __init__(self, listener: SimListener) -> None:
        self._listener = listener

    async def accept(self) -> SimStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()


def no_plane() -> None:
    """Return no plane: each connection has a task."""


def simulated(
    seed: int | None, *, plane: bool, streams: bool = False, latency: float = 0.0
) -> Network:
    """Return a simulated network.

    :param seed: of its conditions; ``None``: they are perfect.
    :param plane: whether there is one.
    :param streams: whether the door gets streams instead of sockets.
    """
    descriptors = Descriptors()
    listener = SimListener(descriptors)

    def dial(host: str) -> SimStream:
        conditions = PERFECT
        if seed is not None:
            conditions = Conditions.drawn(Random(f"{seed} {host}"), latency=latency)
        return listener.connect(Address(host, 50_000), conditions)

    return Network(
        StreamsOnly(listener) if streams else listener,
        dial,
        partial(sim_plane, descriptors, None if seed is None else Random(seed))
        if plane
        else no_plane,
    )


def over_sockets(*, plane: bool) -> Network:
    """Return one of socket pairs of the system."""
    listener = SocketListener()

    def dial(host: str) -> trio.SocketStream:
        return listener.dial(peer=host)

    return Network(listener, dial, open_plane if plane else no_plane)


def compare(outcome: Outcome, expected: Outcome) -> None:
    assert outcome.received == expected.received
    assert outcome.ended == expected.ended


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_plane_and_tasks_send_the_same_under_any_conditions(seed: int) -> None:
    expected = play(partial(simulated, None, plane=False), seed)
    assert expected.in_plane == 0
    assert len(expected.ended) == 3
    for streams in (False, True):
        over_plane = play(partial(simulated, seed, plane=True, streams=streams), seed)
        assert over_plane.in_plane == 3
        over_tasks = play(partial(simulated, seed, plane=False, streams=streams), seed)
        compare(over_plane, expected)
        compare(over_tasks, expected)
        assert over_plane.pings == over_tasks.pings == expected.pings


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.booleans())
def test_latency_changes_nothing_but_the_times(seed: int, plane: bool) -> None:
    expected = play(partial(simulated, None, plane=plane), seed)
    compare(play(partial(simulated, seed, plane=plane, latency=LATENCY), seed), expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("plane", [False, True])
def test_sockets_of_the_system_send_what_simulated_ones_do(seed: int, plane: bool) -> None:
    if plane and not hasattr(select, "epoll"):
        pytest.skip("there is no plane here")
    expected = play(partial(simulated, None, plane=False), seed, SOCKET_ENDS)
    compare(play(partial(over_sockets, plane=plane), seed, SOCKET_ENDS), expected)
