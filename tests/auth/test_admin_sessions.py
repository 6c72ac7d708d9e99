"""The cookies of /admin: whose session it is, until when, and who has signed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gbs_actor.auth import AdminSessions, AuthError, AuthErrorCode, Role, User
from gbs_actor.auth.admin_sessions import MAX_COOKIE, MAX_ENDED, SESSION_TIME
from gbs_actor.auth.token_source import TokenSource
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.settings import AdminSettings, AuthSettings, RecoverySettings, Settings

NOW = 1_700_000_000.0
KEY = b"kx9Q2mVd7LrT4wYb8NzHc3JfPs6GaEuX"


def at(wall: Callable[[], float]) -> Environment:
    return replace(SYSTEM, wall=wall)


def sessions(now: float = NOW, keys: tuple[bytes, ...] = (KEY,)) -> AdminSessions:
    return AdminSessions(keys, at(lambda: now))


def user(
    retreats: frozenset[str] | None = None, *, name: str = "김하늘", expires_at: float | None = None
) -> User:
    return User(
        user_id=7,
        admin_user_id=8,
        name=name,
        email="kim@example.org",
        role=Role.ADMIN_MINISTER,
        retreats=retreats,
        expires_at=expires_at,
        source=TokenSource.HEADER,
    )


def refusal(opener: AdminSessions, cookie: str) -> AuthErrorCode:
    with pytest.raises(AuthError) as refused:
        opener.open(cookie)
    return refused.value.code


TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)


@given(TEXTS, st.frozensets(TEXTS, max_size=5))
def test_a_session_is_what_it_was_begun_with(name: str, retreats: frozenset[str]) -> None:
    cookie, begun = sessions().begin(user(retreats, name=name))
    opened = sessions().open(cookie)
    assert opened == begun
    assert opened.user is not None
    assert (opened.user.name, opened.user.retreats) == (name, retreats)
    assert opened.user.email == ""


def test_a_session_of_the_operator_token_has_no_user() -> None:
    cookie, _ = sessions().begin(None)
    assert sessions().open(cookie).user is None


def test_two_sessions_of_one_user_differ_and_so_do_their_csrf_tokens() -> None:
    (one, _), (other, _) = sessions().begin(user()), sessions().begin(user())
    assert one != other
    assert sessions().csrf_token(one) != sessions().csrf_token(other)
    assert sessions().csrf_token(one) == sessions().csrf_token(one)


@pytest.mark.parametrize(
    ("token_ends", "lasts"), [(None, SESSION_TIME), (NOW + 60, 60), (NOW + 10**6, SESSION_TIME)]
)
def test_it_ends_with_the_token_or_earlier(token_ends: float | None, lasts: float) -> None:
    cookie, _ = sessions().begin(user(expires_at=token_ends))
    assert sessions(NOW + lasts - 1).open(cookie)
    assert refusal(sessions(NOW + lasts), cookie) is AuthErrorCode.TOKEN_EXPIRED


def test_a_token_within_the_leeway_begins_none() -> None:
    with pytest.raises(AuthError) as refused:
        sessions().begin(user(expires_at=NOW))
    assert refused.value.code is AuthErrorCode.TOKEN_EXPIRED


@given(st.data())
def test_a_changed_cookie_is_none(data: st.DataObject) -> None:
    cookie, _ = sessions().begin(user())
    at = data.draw(st.integers(0, len(cookie) - 2))  # the last character has unused bits
    other = data.draw(st.characters(codec="ascii").filter(lambda char: char != cookie[at]))
    changed = cookie[:at] + other + cookie[at + 1 :]
    assert refusal(sessions(), changed) is AuthErrorCode.INVALID_TOKEN


@given(st.text())
def test_no_text_is_a_cookie(text: str) -> None:
    assert refusal(sessions(), text) is AuthErrorCode.INVALID_TOKEN


def test_another_key_opens_nothing() -> None:
    cookie, _ = sessions().begin(user())
    for keys in ((b"other" + KEY,), (KEY, KEY), ()):
        assert refusal(sessions(keys=keys), cookie) is AuthErrorCode.INVALID_TOKEN


def test_without_any_secret_sessions_end_with_the_process() -> None:
    cookie, _ = sessions(keys=()).begin(user())
    assert refusal(sessions(keys=()), cookie) is AuthErrorCode.INVALID_TOKEN


def test_a_change_of_any_secret_ends_all_sessions() -> None:
    def of(letters: str) -> AdminSessions:
        auth, recovery, admin = (SecretStr(letter * 32) for letter in letters)
        settings = Settings(
            auth=AuthSettings(jwt_secret=auth),
            recovery=RecoverySettings(recovery_secret=recovery),
            admin=AdminSettings(admin_token=admin),
        )
        return AdminSessions.from_settings(settings, at(lambda: NOW))

    cookie, begun = of("abc").begin(user())
    assert of("abc").open(cookie) == begun  # after a restart
    for changed in ("xbc", "axc", "abx"):
        assert refusal(of(changed), cookie) is AuthErrorCode.INVALID_TOKEN


def test_an_ended_session_does_not_open_and_others_do() -> None:
    server = sessions()
    (one, begun), (other, _) = server.begin(user()), server.begin(user())
    server.end(begun)
    assert refusal(server, one) is AuthErrorCode.INVALID_TOKEN
    assert server.open(other)


def test_ended_sessions_are_remembered_no_longer_than_they_would_have_lasted() -> None:
    now = NOW
    server = AdminSessions([KEY], at(lambda: now))
    for _ in range(3):
        server.end(server.begin(user(expires_at=NOW + 10))[1])
    now += 10
    server.end(server.begin(None)[1])
    assert len(server._ended) == 1


def test_there_are_not_more_of_them_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbs_actor.auth.admin_sessions.MAX_ENDED", 2)
    server = sessions()
    cookies = []
    for lasts in (30, 10, 20):
        cookie, begun = server.begin(user(expires_at=NOW + lasts))
        server.end(begun)
        cookies.append(cookie)
    assert server.open(cookies[1])
    assert [refusal(server, cookies[at]) for at in (0, 2)] == [AuthErrorCode.INVALID_TOKEN] * 2
    assert MAX_ENDED > 1_000


def test_a_cookie_that_browsers_would_ignore_is_not_made() -> None:
    few, many = (frozenset(f"retreat-{n}" for n in range(count)) for count in (100, 400))
    cookie, _ = sessions().begin(user(few))
    assert len(cookie) <= MAX_COOKIE
    with pytest.raises(ValueError, match="characters"):
        sessions().begin(user(many))
