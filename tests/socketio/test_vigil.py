"""The deadlines of one connection, without the connection."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.socketio import ServerOptions
from gbs_actor.socketio.channel.liveness import Liveness
from gbs_actor.socketio.channel.timers import Timers


class Client:
    """Records which of its methods were called, and when."""

    def __init__(self) -> None:
        self.joined = True
        self.timeout_suppressed = False
        self.calls: list[tuple[str, float]] = []

    def ping(self) -> None:
        self.calls.append(("ping", trio.current_time()))

    def join_timed_out(self) -> None:
        self.calls.append(("never joined", trio.current_time()))

    def ping_timed_out(self) -> None:
        self.calls.append(("ping_timed_out", trio.current_time()))


OPTIONS = ServerOptions(ping_interval=25, ping_timeout=60, connect_timeout=45)


async def alive_for(client: Client, seconds: float) -> None:
    timers = Timers()
    Liveness(client, OPTIONS, timers)
    with trio.move_on_after(seconds):
        await timers.run()


async def test_it_pings_and_then_gives_the_client_up(clock: MockClock) -> None:
    client = Client()
    await alive_for(client, 500)
    assert client.calls == [("ping", 25.0), ("ping_timed_out", 85.0)]


async def test_an_excused_client_is_pinged_anew(clock: MockClock) -> None:
    client = Client()
    client.timeout_suppressed = True
    await alive_for(client, 200)
    assert client.calls == [("ping", 25.0), ("ping", 85.0), ("ping", 145.0)]


async def test_a_client_that_has_not_joined_is_told_so_once(clock: MockClock) -> None:
    client = Client()
    client.joined = False
    await alive_for(client, 500)
    assert client.calls == [("ping", 25.0), ("never joined", 45.0)]


async def test_once_stopped_it_holds_no_timer(clock: MockClock) -> None:
    timers = Timers()
    liveness = Liveness(Client(), OPTIONS, timers)
    assert len(timers) == 1
    liveness.stop()
    liveness.stop()
    assert len(timers) == 0
