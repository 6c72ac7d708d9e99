"""What strangers may hold, and who makes room for whom."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.socketio import ConnectionLimitReached, Unauthenticated, UnauthenticatedLimit

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Counted:
    """A limit, and the names of those that it has evicted."""

    def __init__(self, total: int, per_address: int) -> None:
        self.limit = UnauthenticatedLimit(total, per_address)
        self.evicted: list[str] = []

    def acquire(self, address: str | None, name: str = "") -> Unauthenticated:
        entry = self.limit.acquire(address, connection=True)
        entry.on_eviction(lambda: self.evicted.append(name))
        return entry

    def refuses(self, address: str | None) -> bool:
        """Return whether another one has no room; it stays if it has."""
        try:
            self.acquire(address)
        except ConnectionLimitReached:
            return True
        return False


async def test_an_address_has_its_share_and_no_more(clock: MockClock) -> None:
    counted = Counted(10, 2)
    counted.acquire(A)
    counted.acquire(A)
    with pytest.raises(ConnectionLimitReached) as full:
        counted.acquire(A)
    assert full.value.of_address
    counted.acquire(B)
    assert counted.limit.statistics().refused == 1


async def test_a_whole_ipv6_network_has_one_share(clock: MockClock) -> None:
    counted = Counted(10, 1)
    counted.acquire("2001:db8::1")
    assert counted.refuses("2001:db8::2")
    assert not counted.refuses("2001:db8:0:1::1")


async def test_within_an_address_only_what_is_older_than_two_seconds_makes_room(
    clock: MockClock,
) -> None:
    counted = Counted(10, 2)
    counted.acquire(A, "first")
    await trio.sleep(1)
    counted.acquire(A, "second")
    await trio.sleep(0.9)
    assert counted.refuses(A)
    await trio.sleep(0.1)
    counted.acquire(A, "third")
    assert counted.evicted == ["first"]
    assert counted.refuses(A)
    assert counted.limit.statistics().evicted == 1


async def test_whose_client_is_authenticated_makes_room_at_once(clock: MockClock) -> None:
    counted = Counted(10, 1)
    entry = counted.acquire(A, "known")
    entry.release()
    entry.release()
    counted.acquire(A)
    assert counted.evicted == []
    assert len(counted.limit) == 1


async def test_the_address_with_the_most_makes_room_for_others(clock: MockClock) -> None:
    counted = Counted(4, 4)
    for name in ("a1", "a2", "a3"):
        counted.acquire(A, name)
    counted.acquire(B, "b1")
    counted.acquire(C, "c1")
    assert counted.evicted == ["a1"]
    assert counted.refuses(B)  # it has one, A has two: no difference worth an eviction
    assert counted.evicted == ["a1"]


async def test_newcomers_are_served_however_many_addresses_flood(clock: MockClock) -> None:
    counted = Counted(100, 50)
    flood = [f"198.51.100.{number}" for number in range(10)]
    for _ in range(20):
        for address in flood:
            counted.refuses(address)
    assert len(counted.limit) == 100
    for number in range(50):
        newcomer = f"203.0.113.{number}"
        counted.acquire(newcomer).release()  # authenticated soon
        assert len(counted.limit) == 99
        counted.refuses(flood[number % 10])


async def test_where_all_hold_the_same_only_what_is_old_makes_room(clock: MockClock) -> None:
    counted = Counted(2, 2)
    counted.acquire(A, "a")
    counted.acquire(B, "b")
    with pytest.raises(ConnectionLimitReached) as full:
        counted.acquire(C)
    assert not full.value.of_address
    await trio.sleep(2)
    counted.acquire(C, "c")
    assert counted.evicted == ["a"]


async def test_those_without_an_address_are_bounded_in_all_only(clock: MockClock) -> None:
    counted = Counted(3, 1)
    for _ in range(3):
        counted.acquire(None)
    assert counted.refuses(None)
    assert not counted.refuses(A)


async def test_who_is_evicted_before_it_can_be_ended_is_ended_then(clock: MockClock) -> None:
    limit = UnauthenticatedLimit(1, 1)
    entry = limit.acquire(A, connection=True)
    assert limit.evict_oldest(5) == 1
    ended: list[str] = []
    entry.on_eviction(lambda: ended.append("at once"))
    assert ended == ["at once"]
    assert len(limit) == 0


async def test_nothing_is_kept_of_those_that_have_gone(clock: MockClock) -> None:
    limit = UnauthenticatedLimit(100, 10)
    entries = [limit.acquire(f"192.0.2.{n % 20}", connection=True) for n in range(100)]
    for entry in entries:
        entry.release()
    statistics = limit.statistics()
    assert (statistics.counted, statistics.addresses) == (0, 0)
    assert limit.make_room(A) is None
