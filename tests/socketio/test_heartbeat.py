"""Deadlines of the heartbeat, as arithmetic."""

from __future__ import annotations

from gbs_actor.socketio.channel.liveness import Beat, Heartbeat


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
