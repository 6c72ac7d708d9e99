from __future__ import annotations

from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.gateway.limits import (
    TokenBucket,
    UserConnectionLimit,
    UserMemoryLimits,
    UserRateLimit,
)
from gbs_actor.observability import OperatorEvents
from gbs_actor.socketio import Outbox

# Token buckets


def test_a_burst_passes_at_once_and_the_next_event_does_not() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]


def test_after_a_pause_events_pass_again_at_the_rate() -> None:
    bucket = TokenBucket(rate=10, burst=1, now=0.0)
    assert bucket.take(0.0)
    assert not bucket.take(0.05)
    assert bucket.take(0.11)


def test_a_long_pause_saves_up_no_more_than_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2, now=0.0)
    assert [bucket.take(1_000.0) for _ in range(3)] == [True, True, False]


def test_a_refused_event_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=0.0)
    assert bucket.take(0.0)
    for step in range(1, 10):
        assert not bucket.take(step / 10)
    assert bucket.take(1.001)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_never_fills_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="token bucket"):
        TokenBucket(rate, burst, now=0.0)


@given(
    st.lists(st.floats(0, 5), max_size=60),
    st.floats(0.1, 100),
    st.integers(1, 20),
)
def test_no_stretch_of_time_lets_through_more_than_rate_and_burst(
    pauses: list[float], rate: float, burst: int
) -> None:
    bucket = TokenBucket(rate, burst, now=0.0)
    now, passed = 0.0, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now)
    assert passed <= burst + now * rate + 1e-6


# Memory of users


def test_a_user_without_a_connection_takes_no_memory() -> None:
    limits = UserMemoryLimits(100, OperatorEvents())
    one, other = Mock(spec=Outbox), Mock(spec=Outbox)
    one.add_limit.side_effect = lambda limit: limit.add(one)
    one.remove_limit.side_effect = lambda limit: limit.discard(one)
    other.add_limit.side_effect = lambda limit: limit.add(other)
    other.remove_limit.side_effect = lambda limit: limit.discard(other)
    limits.add(7, one)
    limits.add(7, other)
    assert one.add_limit.call_args == other.add_limit.call_args
    limits.remove(7, one)
    assert len(limits) == 1
    limits.remove(7, other)
    assert len(limits) == 0


# Rates of users


def test_each_user_has_a_burst_of_their_own() -> None:
    rates = UserRateLimit(rate=1, burst=2)
    assert [rates.take(1, 0.0) for _ in range(3)] == [True, True, False]
    assert rates.take(2, 0.0)


def test_a_user_may_send_again_at_the_rate() -> None:
    rates = UserRateLimit(rate=2, burst=1)
    assert rates.take(1, 0.0)
    assert not rates.take(1, 0.4)
    assert rates.take(1, 0.5)


def test_the_wait_is_the_time_until_the_next_is_allowed() -> None:
    rates = UserRateLimit(rate=2, burst=1)
    assert rates.wait(1, 0.0) == 0.0
    rates.take(1, 0.0)
    assert rates.wait(1, 0.0) == pytest.approx(0.5)
    assert rates.wait(1, 0.25) == pytest.approx(0.25)
    assert rates.wait(1, 9.0) == 0.0


def test_full_buckets_are_forgotten() -> None:
    rates = UserRateLimit(rate=10, burst=10)
    for user in range(100):
        rates.take(user, 0.0)
    assert len(rates) == 100
    for user in range(1_000, 1_060):
        rates.take(user, 1.0)
    assert len(rates) == 60


def test_a_bucket_that_is_not_full_is_kept() -> None:
    rates = UserRateLimit(rate=1, burst=2)
    rates.take(1, 0.0)
    rates.take(1, 0.0)
    for user in range(2, 50):
        rates.take(user, 0.5)
    assert not rates.take(1, 0.5)


def test_no_more_than_the_cap_is_kept_whoever_comes() -> None:
    rates = UserRateLimit(rate=1, burst=1_000, max_buckets=10)
    for user in range(1_000):
        rates.take(user, 0.0)
    assert len(rates) == 10


def test_at_the_cap_whoever_spoke_last_is_still_counted() -> None:
    rates = UserRateLimit(rate=0.001, burst=1, max_buckets=3)
    for user in (1, 2, 3):
        rates.take(user, 0.0)
    rates.take(1, 0.0)
    rates.take(4, 0.0)
    assert not rates.take(1, 0.0)
    assert not rates.take(4, 0.0)


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 2)), max_size=200))
def test_forgetting_changes_no_decision(events: list[tuple[int, float]]) -> None:
    together = UserRateLimit(rate=3, burst=4)
    apart = {user: UserRateLimit(rate=3, burst=4) for user in range(1, 6)}
    now = 0.0
    for user, pause in events:
        now += pause
        assert together.take(user, now) == apart[user].take(user, now)


# Connections of users


def test_a_user_has_as_many_connections_as_the_limit_says() -> None:
    connections = UserConnectionLimit(2)
    assert [connections.take(1) for _ in range(3)] == [True, True, False]


def test_users_do_not_count_for_one_another() -> None:
    connections = UserConnectionLimit(1)
    assert connections.take(1)
    assert connections.take(2)


def test_a_connection_that_has_ended_makes_room() -> None:
    connections = UserConnectionLimit(1)
    assert connections.take(1)
    connections.leave(1)
    assert connections.take(1)


def test_a_refused_connection_is_not_counted() -> None:
    connections = UserConnectionLimit(1)
    connections.take(1)
    connections.take(1)
    assert connections.of(1) == 1


def test_nothing_is_held_of_users_without_a_connection() -> None:
    connections = UserConnectionLimit(3)
    for user in range(1_000):
        connections.take(user)
        connections.leave(user)
    assert len(connections) == 0


def test_a_limit_that_lets_nobody_in_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        UserConnectionLimit(0)


# Changes at run time


def test_another_rate_counts_at_once_for_every_user() -> None:
    rates = UserRateLimit(rate=1, burst=1)
    assert rates.take(7, 0.0)
    assert not rates.take(7, 0.0)
    rates.change(rate=10, burst=3)
    assert [rates.take(7, 0.0) for _ in range(4)] == [True, True, True, False]
    assert rates.take(7, 0.11)


def test_a_lower_limit_of_connections_lets_open_ones_stay() -> None:
    connections = UserConnectionLimit(3)
    assert [connections.take(7) for _ in range(2)] == [True, True]
    connections.limit = 1
    assert not connections.take(7)
    connections.leave(7)
    connections.leave(7)
    assert connections.take(7)


def test_another_limit_of_memory_is_for_users_who_are_there_and_for_others() -> None:
    limits = UserMemoryLimits(100, OperatorEvents())
    there, later = Mock(Outbox), Mock(Outbox)
    limits.add(7, there)
    limits.change(50)
    limits.add(8, later)
    for outbox in (there, later):
        assert outbox.add_limit.call_args.args[0].limit == 50
