"""Which pages may use a user's cookie: the server's own, those allowed, and no others."""

from __future__ import annotations

import pytest

from gbs_actor.socketio import OriginPolicy, own_origin

POLICY = OriginPolicy(["https://page.example/"], ["accessToken"])
COOKIES = {"accessToken": "x"}


def asked(url: str | None) -> str | None:
    """Return the server's own origin if it is reached by this URL."""
    if url is None:
        return own_origin(None, secure=True)
    scheme, _, host = url.partition("://")
    return own_origin(host, secure=scheme == "https")


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("https://page.example", "https://own.example"),
        ("https://page.example:443", "https://own.example"),
        ("https://PAGE.example", None),
        ("http://own.example", "http://own.example"),
        ("https://own.example", "https://OWN.example:443"),
        ("http://own.example:80", "http://own.example"),
        ("http://own.example", "http://own.example:"),
        ("https://own.example:8443", "https://own.example:8443"),
        ("http://[::1]:80", "http://[0:0::1]:80"),
        ("http://own.example.", "http://own.example."),
    ],
)
def test_the_servers_own_pages_and_those_allowed_may(origin: str, own: str | None) -> None:
    assert not POLICY.refuses(origin, asked(own), COOKIES)


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://own.example", "https://own.example"),
        ("https://own.example", "http://own.example"),
        ("http://own.example:443", "https://own.example"),
        ("http://page.example", "https://own.example"),
        ("https://own.example:8443", "https://own.example"),
        ("https://own.example.", "https://own.example"),
    ],
)
def test_scheme_and_port_are_parts_of_an_origin(origin: str, own: str) -> None:
    assert POLICY.refuses(origin, asked(own), COOKIES)


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
    for secure in (False, True):
        own = own_origin(host, secure=secure)
        assert POLICY.refuses(origin, own, COOKIES)
        assert not POLICY.refuses(origin, own, {"theme": "dark"})


def test_without_a_page_there_is_nothing_to_refuse() -> None:
    assert not POLICY.refuses(None, "http://own.example", COOKIES)
