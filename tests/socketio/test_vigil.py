"""The deadlines of one connection, without the connection."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.socketio import ServerOptions
from gbs_actor.socketio.channel.liveness import Vigil
from gbs_actor.socketio.channel.timers import Timers


class Client:
    """Notes what its vigil tells it, and when."""

    def __init__(self) -> None:
        self.ever_joined = True
        self.excused = False
        self.told: list[tuple[str, float]] = []

    def ping(self) -> None:
        self.told.append(("ping", trio.current_time()))

    def never_joined(self) -> None:
        self.told.append(("never joined", trio.current_time()))

    def gone(self) -> None:
        self.told.append(("gone", trio.current_time()))


OPTIONS = ServerOptions(ping_interval=25, ping_timeout=60, connect_timeout=45)


async def watched_for(client: Client, seconds: float) -> None:
    timers = Timers()
    Vigil(client, OPTIONS, timers)
    with trio.move_on_after(seconds):
        await timers.run()


async def test_it_pings_and_then_gives_the_client_up(clock: MockClock) -> None:
    client = Client()
    await watched_for(client, 500)
    assert client.told == [("ping", 25.0), ("gone", 85.0)]


async def test_an_excused_client_is_pinged_anew(clock: MockClock) -> None:
    client = Client()
    client.excused = True
    await watched_for(client, 200)
    assert client.told == [("ping", 25.0), ("ping", 85.0), ("ping", 145.0)]


async def test_a_client_that_has_not_joined_is_told_so_once(clock: MockClock) -> None:
    client = Client()
    client.ever_joined = False
    await watched_for(client, 500)
    assert client.told == [("ping", 25.0), ("never joined", 45.0)]


async def test_once_stopped_it_holds_no_timer(clock: MockClock) -> None:
    timers = Timers()
    vigil = Vigil(Client(), OPTIONS, timers)
    assert len(timers) == 1
    vigil.stop()
    vigil.stop()
    assert len(timers) == 0
