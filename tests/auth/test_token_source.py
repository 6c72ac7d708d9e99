"""The first token that is present decides."""

from __future__ import annotations

from typing import Any

import pytest

from gbs_actor.auth import TokenSource, find_token

HEADERS = {"Authorization": "Bearer from-header"}
COOKIES = {"accessToken": "from-cookie", "other": "x"}


def find(
    payload: object, headers: dict[str, str], cookies: dict[str, str]
) -> tuple[str, TokenSource] | None:
    return find_token(payload, headers, cookies, "accessToken")


def test_the_payload_goes_before_the_header() -> None:
    found = find({"token": "from-payload"}, HEADERS, COOKIES)
    assert found == ("from-payload", TokenSource.PAYLOAD)


def test_the_header_goes_before_the_cookie() -> None:
    assert find({}, HEADERS, COOKIES) == ("from-header", TokenSource.HEADER)


def test_the_cookie_comes_last() -> None:
    assert find(None, {}, COOKIES) == ("from-cookie", TokenSource.COOKIE)


def test_without_any_there_is_none() -> None:
    assert find(None, {}, {"other": "x"}) is None


def test_garbage_in_the_payload_decides_though_the_cookie_is_right() -> None:
    assert find({"token": "garbage"}, {}, COOKIES) == ("garbage", TokenSource.PAYLOAD)


@pytest.mark.parametrize(
    "payload",
    [{"token": ""}, {"token": None}, {"token": 5}, {"token": ["x"]}, [], "token", 7, None],
)
def test_what_is_no_token_in_the_payload_is_skipped(payload: Any) -> None:
    assert find(payload, {}, COOKIES) == ("from-cookie", TokenSource.COOKIE)


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer   ", "Basic eDp5", "from-header", ""]
)
def test_a_header_without_a_bearer_token_is_skipped(value: str) -> None:
    assert find(None, {"Authorization": value}, COOKIES) == ("from-cookie", TokenSource.COOKIE)


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_case_does_not_matter_to_header_and_scheme(name: str, scheme: str) -> None:
    assert find(None, {name: f"{scheme} abc"}, {}) == ("abc", TokenSource.HEADER)


def test_an_empty_cookie_is_none() -> None:
    assert find(None, {}, {"accessToken": ""}) is None


def test_the_cookies_name_is_a_setting() -> None:
    assert find_token(None, {}, {"other": "x"}, "other") == ("x", TokenSource.COOKIE)
