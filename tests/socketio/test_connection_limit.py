from __future__ import annotations

import pytest

from gbs_actor.socketio import ConnectionLimit, ConnectionLimitReached


def test_there_are_as_many_places_as_were_given() -> None:
    places = ConnectionLimit(2, 2)
    places.take("192.0.2.1")
    places.take(None)
    with pytest.raises(ConnectionLimitReached) as full:
        places.take("192.0.2.2")
    assert not full.value.of_address
    assert len(places) == 2


def test_one_address_gets_no_more_than_its_share() -> None:
    places = ConnectionLimit(10, 1)
    places.take("192.0.2.1")
    with pytest.raises(ConnectionLimitReached) as full:
        places.take("192.0.2.1")
    assert full.value.of_address
    places.take("192.0.2.2")


def test_those_without_an_address_are_bounded_in_all_only() -> None:
    places = ConnectionLimit(3, 1)
    for _ in range(3):
        places.take(None)
    with pytest.raises(ConnectionLimitReached):
        places.take(None)


def test_a_place_given_back_can_be_taken_again() -> None:
    places = ConnectionLimit(1, 1)
    places.take("192.0.2.1")
    places.leave("192.0.2.1")
    places.take("192.0.2.1")


def test_who_was_turned_away_has_taken_nothing() -> None:
    places = ConnectionLimit(2, 1)
    places.take("192.0.2.1")
    with pytest.raises(ConnectionLimitReached):
        places.take("192.0.2.1")
    places.leave("192.0.2.1")
    assert len(places) == 0
    places.take("192.0.2.1")


def test_of_addresses_that_have_gone_nothing_is_kept() -> None:
    places = ConnectionLimit(1, 1)
    for number in range(100):
        places.take(f"192.0.2.{number}")
        places.leave(f"192.0.2.{number}")
    assert len(places) == 0
    assert not places._per_address


def test_a_whole_ipv6_network_of_one_house_has_one_share() -> None:
    places = ConnectionLimit(10, 2)
    places.take("2001:db8:0:1::1")
    places.take("2001:db8:0:1:ffff::2")
    with pytest.raises(ConnectionLimitReached):
        places.take("2001:db8:0:1::3")
    places.take("2001:db8:0:2::1")
    places.leave("2001:db8:0:1::1")
    places.take("2001:db8:0:1::3")
