from __future__ import annotations

import pytest

from gbs_actor.gateway.user_connections import UserConnections


def test_a_user_has_as_many_connections_as_the_limit_says() -> None:
    connections = UserConnections(2)
    assert [connections.enter(1) for _ in range(3)] == [True, True, False]


def test_users_do_not_count_for_one_another() -> None:
    connections = UserConnections(1)
    assert connections.enter(1)
    assert connections.enter(2)


def test_a_connection_that_has_ended_makes_room() -> None:
    connections = UserConnections(1)
    assert connections.enter(1)
    connections.leave(1)
    assert connections.enter(1)


def test_a_refused_connection_is_not_counted() -> None:
    connections = UserConnections(1)
    connections.enter(1)
    connections.enter(1)
    assert connections.of(1) == 1


def test_nothing_is_held_of_users_without_a_connection() -> None:
    connections = UserConnections(3)
    for user in range(1_000):
        connections.enter(user)
        connections.leave(user)
    assert len(connections) == 0


def test_a_limit_that_lets_nobody_in_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        UserConnections(0)
