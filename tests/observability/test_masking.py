"""No secret reaches the log, wherever in an event it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.auth import Role, mint
from gbs_actor.observability import mask, masked

TOKEN = mint("a secret of more than thirty-two bytes", user_id=7, role=Role.LINEUP_STAFF)


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"Authorization: Bearer {TOKEN}",
        "Authorization: Bearer geheim.opaque",
        "bearer geheim",
        f"GET /x?token={TOKEN} HTTP/1.1",
        f"Sec-WebSocket-Protocol: gbs.v1, bearer.{TOKEN}",
        "cookie: a=b; accessToken=geheim; c=d",
        "postgresql://me:geheim@host/db",
        "postgres://me:geheim@host/db",
        "rediss://:geheim@host:6379",
        "valkey://me:geheim@host",
        "unix://:geheim@/run/valkey.sock",
        "postgresql://host/db?user=me&password=geheim",
        "host=db user=me password=geheim",
        "{'password': 'geheim'}",
        "GBS_TLS_KEY_PASSWORD=geheim",
        "tls_key_password: geheim",
        "GBS_ADMIN_TOKEN=geheim",
        "GBS_METRICS_TOKEN=geheim",
    ],
)
def test_a_secret_in_a_text_is_masked(text: str) -> None:
    clean = mask(text)
    assert "geheim" not in clean
    assert TOKEN.rpartition(".")[2] not in clean
    assert "***" in clean


@pytest.mark.parametrize(
    "text",
    [
        "Room 2024-winter started",
        "postgresql://me@/db?host=%2Fvar%2Flib%2Fgbs-actor%2Frun",
        "the bearer",
        "GET /api/v1/retreat/2024-winter/line-up/user-lineups?since=5 200",
        "a.b.c",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cookie",
        "token",
        "jwt_secret",
        "recovery_secret",
        "admin_token",
        "metrics_token",
        "password",
    ],
)
def test_the_value_of_a_secret_key_is_masked_whatever_it_is(name: str) -> None:
    assert masked({name: "opaque"}) == {name: "***"}
    assert masked({name: ["opaque"]}) == {name: "***"}


def test_secrets_are_found_inside_of_what_is_logged() -> None:
    value = {"request": {"headers": [("authorization", f"Bearer {TOKEN}")], "tries": 3}}
    clean = masked(value)
    assert TOKEN not in str(clean)
    assert clean["request"]["tries"] == 3


def test_an_exception_with_a_secret_in_it_is_masked() -> None:
    assert "geheim" not in str(masked(OSError("postgresql://me:geheim@host/db")))


def test_what_is_no_text_stays_as_it_is() -> None:
    thing = object()
    assert masked(thing) is thing
    assert masked([None, True, 5, 1.5]) == [None, True, 5, 1.5]


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)
