from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.testing import capture_logs

from gbs_actor.auth import SessionClaim, SessionTokens
from gbs_actor.environment import SYSTEM
from gbs_actor.settings import AuthSettings, RecoverySettings, Settings

SECRET = b"0123456789abcdef0123456789abcdef"
SID = "AbCdEfGhIjKlMnOpQrSt"
MAX_AGE = 3_600.0


class Clock:
    """A wall clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


def tokens(secret: bytes = SECRET, clock: Clock | None = None) -> SessionTokens:
    return SessionTokens(secret, MAX_AGE, clock or Clock())


def test_a_token_says_whose_session_it_is() -> None:
    token = tokens().issue(SID, 7)
    assert tokens().open(token) == SessionClaim(SID, 7)


def test_a_token_is_short_and_fit_for_a_url_and_not_the_id() -> None:
    token = tokens().issue(SID, 2**63 - 1)
    assert len(token) <= 100
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert SID not in token


def test_a_token_of_another_secret_is_not_opened() -> None:
    assert tokens(b"another" * 8).open(tokens().issue(SID, 7)) is None


def test_a_token_ends_with_its_time() -> None:
    clock = Clock()
    token = tokens(clock=clock).issue(SID, 7)
    clock.time += MAX_AGE
    assert tokens(clock=clock).open(token) is not None
    clock.time += 1
    assert tokens(clock=clock).open(token) is None


def test_a_token_from_the_future_is_not_opened_but_clocks_may_differ_a_little() -> None:
    clock = Clock()
    token = tokens(clock=clock).issue(SID, 7)
    clock.time -= 30
    assert tokens(clock=clock).open(token) is not None
    clock.time -= 1
    assert tokens(clock=clock).open(token) is None


@pytest.mark.parametrize("position", range(92))
def test_a_token_with_one_character_changed_is_not_opened(position: int) -> None:
    token = tokens().issue(SID, 7)
    assert len(token) == 92
    other = "A" if token[position] != "A" else "B"
    assert tokens().open(token[:position] + other + token[position + 1 :]) is None


def test_a_token_spelt_in_another_way_is_not_opened() -> None:
    token = tokens().issue(SID[:-1], 7)  # its last character has bits that do not count
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelt = token[:-1] + digits[digits.index(token[-1]) ^ 1]
    content = [base64.urlsafe_b64decode(text + "==") for text in (token, respelt)]
    assert content[0] == content[1]
    assert tokens().open(token) is not None
    assert tokens().open(respelt) is None
    assert tokens().open(token + "=") is None


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{0,300}", fullmatch=True))
def test_garbage_is_not_opened_and_never_raises(text: str) -> None:
    assert tokens().open(text) is None


@given(st.binary(max_size=150))
def test_bytes_that_we_have_not_signed_are_not_opened(content: bytes) -> None:
    text = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    assert tokens().open(text) is None


def test_an_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="64 characters"):
        tokens().issue("x" * 65, 7)


def from_settings(recovery: str | None, jwt: str | None) -> SessionTokens:
    settings = Settings(
        auth=AuthSettings(jwt_secret=None if jwt is None else SecretStr(jwt)),
        recovery=RecoverySettings(
            recovery_secret=None if recovery is None else SecretStr(recovery)
        ),
    )
    return SessionTokens.from_settings(settings, replace(SYSTEM, wall=Clock()))


@pytest.mark.parametrize(("recovery", "jwt"), [("r" * 32, None), (None, "j" * 32)])
def test_the_next_process_opens_the_tokens_of_this_one(
    recovery: str | None, jwt: str | None
) -> None:
    with capture_logs() as logged:
        token = from_settings(recovery, jwt).issue(SID, 7)
        assert from_settings(recovery, jwt).open(token) == SessionClaim(SID, 7)
    assert logged == []


def test_the_own_secret_goes_before_that_of_user_tokens() -> None:
    token = from_settings("r" * 32, "j" * 32).issue(SID, 7)
    assert from_settings("r" * 32, None).open(token) is not None
    assert from_settings(None, "j" * 32).open(token) is None


def test_without_any_secret_the_tokens_end_with_the_process_and_a_warning_is_logged() -> None:
    with capture_logs() as logged:
        token = from_settings(None, None).issue(SID, 7)
    assert [entry["log_level"] for entry in logged] == ["warning"]
    assert "recovery_secret" in logged[0]["event"]
    with capture_logs():
        assert from_settings(None, None).open(token) is None
