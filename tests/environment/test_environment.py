from __future__ import annotations

import time
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest

from gbs_actor.environment import SYSTEM, Environment


def environment(seed: int, at: float = 0.0) -> Environment:
    return Environment(lambda: at, Random(seed).randbytes, lambda: 0.0, lambda: 0.0)


def test_now_is_the_wall_clocks_time_in_utc_to_the_millisecond() -> None:
    begin = datetime(1970, 1, 2, microsecond=999_000, tzinfo=UTC)
    assert environment(1, 86_400.9999).now() == begin


def test_ids_come_from_its_entropy_alone() -> None:
    one, same, other = environment(1), environment(1), environment(2)
    made = [(one.uuid(), one.token(15), one.chance()) for _ in range(3)]
    assert made == [(same.uuid(), same.token(15), same.chance()) for _ in range(3)]
    assert made[0] != (other.uuid(), other.token(15), other.chance())
    assert len(set(made)) == 3


@pytest.mark.parametrize("entropy", [bytes(16), b"\xff" * 16, Random(1).randbytes(16)])
def test_a_uuid_is_of_version_4(entropy: bytes) -> None:
    made = Environment(lambda: 0, lambda _: entropy, lambda: 0, lambda: 0).uuid()
    assert made == UUID(bytes=entropy, version=4)


def test_a_token_is_url_safe_without_padding() -> None:
    assert Environment(lambda: 0, lambda size: b"\xff" * size, lambda: 0, lambda: 0).token(4) == (
        "_____w"
    )


def test_chances_lie_between_0_and_1() -> None:
    assert Environment(lambda: 0, bytes, lambda: 0, lambda: 0).chance() == 0.0
    highest = Environment(lambda: 0, lambda size: b"\xff" * size, lambda: 0, lambda: 0).chance()
    assert 0.999 < highest < 1.0


def test_that_of_the_machine_has_the_time_of_day_and_no_two_equal_tokens() -> None:
    assert abs(SYSTEM.wall() - time.time()) < 60
    assert SYSTEM.token(16) != SYSTEM.token(16)
