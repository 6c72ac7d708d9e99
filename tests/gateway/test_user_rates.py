from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.gateway.user_rates import UserRates


def test_each_user_has_a_burst_of_their_own() -> None:
    rates = UserRates(rate=1, burst=2)
    assert [rates.take(1, 0.0) for _ in range(3)] == [True, True, False]
    assert rates.take(2, 0.0)


def test_a_user_may_speak_again_at_the_rate() -> None:
    rates = UserRates(rate=2, burst=1)
    assert rates.take(1, 0.0)
    assert not rates.take(1, 0.4)
    assert rates.take(1, 0.5)


def test_the_wait_is_the_time_until_the_next_is_allowed() -> None:
    rates = UserRates(rate=2, burst=1)
    assert rates.wait(1, 0.0) == 0.0
    rates.take(1, 0.0)
    assert rates.wait(1, 0.0) == pytest.approx(0.5)
    assert rates.wait(1, 0.25) == pytest.approx(0.25)
    assert rates.wait(1, 9.0) == 0.0


def test_full_buckets_are_forgotten() -> None:
    rates = UserRates(rate=10, burst=10)
    for user in range(100):
        rates.take(user, 0.0)
    assert len(rates) == 100
    for user in range(1_000, 1_060):
        rates.take(user, 1.0)
    assert len(rates) == 60


def test_a_bucket_that_is_not_full_is_kept() -> None:
    rates = UserRates(rate=1, burst=2)
    rates.take(1, 0.0)
    rates.take(1, 0.0)
    for user in range(2, 50):
        rates.take(user, 0.5)
    assert not rates.take(1, 0.5)


def test_no_more_than_the_cap_is_kept_whoever_comes() -> None:
    rates = UserRates(rate=1, burst=1_000, max_buckets=10)
    for user in range(1_000):
        rates.take(user, 0.0)
    assert len(rates) == 10


def test_at_the_cap_whoever_spoke_last_is_still_counted() -> None:
    rates = UserRates(rate=0.001, burst=1, max_buckets=3)
    for user in (1, 2, 3):
        rates.take(user, 0.0)
    rates.take(1, 0.0)
    rates.take(4, 0.0)
    assert not rates.take(1, 0.0)
    assert not rates.take(4, 0.0)


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 2)), max_size=200))
def test_forgetting_changes_no_decision(events: list[tuple[int, float]]) -> None:
    together = UserRates(rate=3, burst=4)
    apart = {user: UserRates(rate=3, burst=4) for user in range(1, 6)}
    now = 0.0
    for user, pause in events:
        now += pause
        assert together.take(user, now) == apart[user].take(user, now)
