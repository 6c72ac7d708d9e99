"""Deadlines of one connection: as arithmetic, and on a timer."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.socketio import ServerOptions
from gbs_actor.socketio.channel.liveness import Beat, Heartbeat, Liveness, liveness_wheel
from gbs_actor.socketio.channel.timers import Timers, TimerWheel


def test_the_first_ping_is_due_one_interval_after_the_handshake() -> None:
    heartbeat = Heartbeat(100.0, interval=25.0, timeout=60.0)
    assert heartbeat.beat(124.999) is Beat.NOTHING
    assert heartbeat.beat(125.0) is Beat.PING


def test_without_a_pong_the_client_is_gone_when_interval_and_timeout_have_passed() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(25.0)
    assert heartbeat.beat(84.999) is Beat.NOTHING
    assert heartbeat.beat(85.0) is Beat.TIMEOUT


def test_a_late_ping_does_not_move_the_deadline() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(40.0)
    assert heartbeat.beat(85.0) is Beat.TIMEOUT


def test_pings_keep_their_rhythm_however_late_the_pongs_are() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(25.0)
    heartbeat.pong(40.0)
    assert heartbeat.beat(49.999) is Beat.NOTHING
    assert heartbeat.beat(50.0) is Beat.PING


def test_after_a_pong_later_than_the_next_ping_that_ping_is_due_at_once() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(25.0)
    heartbeat.pong(70.0)
    assert heartbeat.beat(70.0) is Beat.PING
    assert heartbeat.beat(129.999) is Beat.NOTHING
    assert heartbeat.beat(130.0) is Beat.TIMEOUT


def test_a_pong_that_answers_nothing_changes_nothing() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.pong(10.0)
    assert heartbeat.beat(25.0) is Beat.PING


def test_waking_is_never_later_than_what_a_pong_makes_due() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(25.0)
    assert heartbeat.next_check(25.0) == 50.0
    heartbeat.pong(26.0)
    assert heartbeat.next_check(26.0) == 50.0


def test_waking_is_at_the_deadline_once_the_next_ping_would_have_been_due() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(25.0)
    assert heartbeat.next_check(50.0) == 85.0


def test_a_timeout_shorter_than_the_interval_wakes_at_the_deadline() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=5.0)
    heartbeat.beat(25.0)
    assert heartbeat.next_check(25.0) == 30.0


def test_an_excuse_pings_anew() -> None:
    heartbeat = Heartbeat(0.0, interval=25.0, timeout=60.0)
    heartbeat.beat(25.0)
    heartbeat.restart(85.0)
    assert heartbeat.beat(85.0) is Beat.PING
    assert heartbeat.beat(145.0) is Beat.TIMEOUT


class Client:
    """Records which of its methods were called, and when."""

    def __init__(self) -> None:
        self.joined = True
        self.timeout_suppressed = False
        self.calls: list[tuple[str, float]] = []
        self.missed_at: list[float] = []

    def ping(self) -> None:
        self.calls.append(("ping", trio.current_time()))

    def pong_missing(self) -> None:
        self.missed_at.append(trio.current_time())

    def join_timed_out(self) -> None:
        self.calls.append(("never joined", trio.current_time()))

    def ping_timed_out(self) -> None:
        self.calls.append(("ping_timed_out", trio.current_time()))


OPTIONS = ServerOptions(ping_interval=25, ping_timeout=60, connect_timeout=45)


async def alive_for(client: Client, seconds: float) -> None:
    timers = Timers()
    Liveness(client, OPTIONS, liveness_wheel(timers, OPTIONS))
    with trio.move_on_after(seconds):
        await timers.run()


async def test_it_pings_and_then_gives_the_client_up(clock: MockClock) -> None:
    client = Client()
    await alive_for(client, 500)
    assert client.calls == [("ping", 25.0), ("ping_timed_out", 85.0)]
    assert client.missed_at == [50.0], "where one may have begun to lag behind the ping"


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
    liveness = Liveness(Client(), OPTIONS, liveness_wheel(timers, OPTIONS))
    assert len(timers) == 1
    liveness.stop()
    liveness.stop()
    assert len(timers) == 0


async def test_pings_that_are_due_soon_go_out_together(clock: MockClock) -> None:
    timers = Timers()
    wheel = liveness_wheel(timers, OPTIONS)
    clients = [Client() for _ in range(5)]
    with trio.move_on_after(40):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            for client in clients:
                Liveness(client, OPTIONS, wheel)
                await trio.sleep(0.05)
            await trio.sleep_forever()
    assert [client.calls for client in clients] == [[("ping", 25.0)]] * 5


async def test_timeouts_of_one_tick_are_checked_once_early_and_once_in_time(
    clock: MockClock,
) -> None:
    timers = Timers()
    checks = 0

    def check(liveness: Liveness) -> None:
        nonlocal checks
        checks += 1
        liveness.check()

    wheel = TimerWheel(timers, 0.25, check)
    clients = [Client() for _ in range(50)]
    with trio.move_on_after(500):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            for client in clients:
                client.joined = False
                Liveness(client, OPTIONS, wheel)
                await trio.sleep(0.004)
            await trio.sleep_until(44.9)
            checks = 0
            await trio.sleep_forever()
    assert {client.calls[-1][0] for client in clients} == {"never joined"}
    ends = [client.calls[-1][1] for client in clients]
    assert ends == pytest.approx([45 + 0.004 * number for number in range(50)])
    assert checks <= 2 * len(clients)


async def test_a_timeout_is_never_early(clock: MockClock) -> None:
    timers = Timers()
    wheel = liveness_wheel(timers, OPTIONS)
    first, second = Client(), Client()
    with trio.move_on_after(500):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            Liveness(first, OPTIONS, wheel)
            await trio.sleep(0.2)
            Liveness(second, OPTIONS, wheel)
            await trio.sleep_forever()
    assert first.calls == [("ping", 25.0), ("ping_timed_out", 85.0)]
    assert second.calls == [("ping", 25.0), ("ping_timed_out", pytest.approx(85.2))]
