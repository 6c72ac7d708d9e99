"""Which pages may use a user's cookie: the server's own, those allowed, and no others."""

from __future__ import annotations

import pytest

from gbs_actor.socketio import OriginPolicy

POLICY = OriginPolicy(["https://page.example/"], ["accessToken"])
COOKIES = {"accessToken": "x"}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://page.example", "own.example"),
        ("https://PAGE.example", None),
        ("http://own.example", "own.example"),
        ("https://own.example", "OWN.example:443"),
        ("http://own.example:80", "own.example"),
        ("https://own.example:8443", "own.example:8443"),
        ("http://[::1]:80", "[::1]:80"),
    ],
)
def test_the_servers_own_pages_and_those_allowed_may(origin: str, host: str | None) -> None:
    assert not POLICY.refuses(origin, host, COOKIES)


@pytest.mark.parametrize("host", ["own.example", "own.example:8443", None, "", "[", "a:b"])
@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "*", "file://", "http://[", "own.example",
        "https://own.example:port", "http://own.example:99999",
        "https://own.example@evil.example", "https://user@own.example",
        "https://evil.example/own.example", "https://own.example.evil.example",
        "https://evil.example#@own.example", "https://evil.example\\@own.example",
        "http://own.example, http://evil.example", "https://own。example", "https://ⓞwn.example",
    ],
)  # fmt: skip
def test_whatever_only_looks_like_one_may_not(origin: str, host: str | None) -> None:
    assert POLICY.refuses(origin, host, COOKIES)
    assert not POLICY.refuses(origin, host, {"theme": "dark"})


def test_without_a_page_there_is_nothing_to_refuse() -> None:
    assert not POLICY.refuses(None, "own.example", COOKIES)
