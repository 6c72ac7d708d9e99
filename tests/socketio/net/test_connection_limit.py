from __future__ import annotations

import pytest

from gbs_actor.socketio import ConnectionLimit, ConnectionLimitReached


def test_there_are_as_many_connections_as_the_limit_allows() -> None:
    limit = ConnectionLimit(2, 2)
    limit.acquire("192.0.2.1")
    limit.acquire(None)
    with pytest.raises(ConnectionLimitReached) as full:
        limit.acquire("192.0.2.2")
    assert not full.value.of_address
    assert len(limit) == 2


def test_one_address_gets_no_more_than_its_share() -> None:
    limit = ConnectionLimit(10, 1)
    limit.acquire("192.0.2.1")
    with pytest.raises(ConnectionLimitReached) as full:
        limit.acquire("192.0.2.1")
    assert full.value.of_address
    limit.acquire("192.0.2.2")


def test_those_without_an_address_are_bounded_in_all_only() -> None:
    limit = ConnectionLimit(3, 1)
    for _ in range(3):
        limit.acquire(None)
    with pytest.raises(ConnectionLimitReached):
        limit.acquire(None)


def test_a_released_connection_can_be_acquired_again() -> None:
    limit = ConnectionLimit(1, 1)
    limit.acquire("192.0.2.1")
    limit.release("192.0.2.1")
    limit.acquire("192.0.2.1")


def test_a_refused_connection_does_not_count() -> None:
    limit = ConnectionLimit(2, 1)
    limit.acquire("192.0.2.1")
    with pytest.raises(ConnectionLimitReached):
        limit.acquire("192.0.2.1")
    limit.release("192.0.2.1")
    assert len(limit) == 0
    limit.acquire("192.0.2.1")


def test_of_addresses_that_have_gone_nothing_is_kept() -> None:
    limit = ConnectionLimit(1, 1)
    for number in range(100):
        limit.acquire(f"192.0.2.{number}")
        limit.release(f"192.0.2.{number}")
    assert len(limit) == 0
    assert not limit._per_address


def test_a_whole_ipv6_network_of_one_house_has_one_share() -> None:
    limit = ConnectionLimit(10, 2)
    limit.acquire("2001:db8:0:1::1")
    limit.acquire("2001:db8:0:1:ffff::2")
    with pytest.raises(ConnectionLimitReached):
        limit.acquire("2001:db8:0:1::3")
    limit.acquire("2001:db8:0:2::1")
    limit.release("2001:db8:0:1::1")
    limit.acquire("2001:db8:0:1::3")
