"""What a connection may do after its token's time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gbs_actor.auth import AuthError, Credentials, Role, TokenSource, User

USER = User(7, 7, "김하늘", "", Role.LINEUP_STAFF, None, 1000.0, TokenSource.PAYLOAD)
GRACE = 43_200.0


def credentials(source: TokenSource = TokenSource.PAYLOAD) -> Credentials:
    return Credentials(replace(USER, source=source), GRACE)


def test_a_token_expires_30_seconds_after_exp() -> None:
    assert not credentials().expired(1029.9)
    assert credentials().expired(1030.0)


@pytest.mark.parametrize("source", [TokenSource.PAYLOAD, TokenSource.HEADER])
def test_who_came_with_a_token_has_60_seconds_to_renew_it(source: TokenSource) -> None:
    assert credentials(source).reads_until == 1030.0 + 60


def test_who_came_with_a_cookie_reads_on_for_the_grace_time() -> None:
    assert credentials(TokenSource.COOKIE).reads_until == 1030.0 + GRACE


def test_without_an_expiry_there_is_no_end() -> None:
    eternal = Credentials(replace(USER, expires_at=None), GRACE)
    assert not eternal.expired(1e12)
    assert eternal.reads_until is None


def test_a_new_token_of_the_same_user_carries_on() -> None:
    renewed = credentials().renewed(replace(USER, expires_at=5000.0))
    assert not renewed.expired(4000.0)
    assert renewed.cookie_grace == GRACE


def test_another_users_token_does_not() -> None:
    with pytest.raises(AuthError, match="Invalid token"):
        credentials().renewed(replace(USER, user_id=8))
