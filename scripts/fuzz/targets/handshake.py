"""Who connects: query, cookies, token, and the page it all comes from."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote_plus

from gbs_actor.auth import TokenSource, find_token
from gbs_actor.socketio import CorsPolicy, OriginPolicy, RemoteEndpoint, is_preflight
from gbs_actor.socketio.channel.handshake import (
    join_fields,
    open_handshake,
    parse_cookies,
    parse_query,
)
from gbs_actor.socketio.engineio.handshake import check_query
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.values import spoil

_COOKIE: Final = "accessToken"
_NAMES: Final = ("EIO", "transport", "sid", "t", "", "a b", "한", "EIO", "b64")
_VALUES: Final = (
    "4",
    "polling",
    "websocket",
    "3",
    "",
    "a&b=c;d",
    "\x00",
    "%zz",
    "+",
    "é",
    "x" * 99,
)
_QUERIES: Final = (
    "EIO=4&transport=polling", "EIO=4&transport=websocket&sid=x", "&&&", "=", "a=1;b=2", "%", "%ff",
    "EIO=4&EIO=3", "transport=polling&EIO=%34", "&" * 120, "a" * 2_000, "sid", "\x00", "sid=%00",
)  # fmt: skip
_TOKENS: Final = ("", "abc.def.ghi", " ", "Bearer", "x y", "\xff")
_PAYLOADS: Final[tuple[Any, ...]] = (
    None, {}, {"token": ""}, {"token": "from.the.payload"}, {"token": 1}, {"token": None}, [], "x",
    1,
    {"token": ["x"]}, {"Token": "x"},
)  # fmt: skip
_ORIGINS: Final = (
    "https://page.example", "http://own.example", "https://own.example:8443", "null", "",
    "https://PAGE.example", "https://own.example@evil.example", "https://evil.example/own.example",
    "https://own.example.evil.example", "http://[::1]:80", "http://[", "https://own.example:port",
    "file://", "https://own。example", "https://ⓞwn.example", "*", "http://own.example:80",
    "http://own.example:99999", "//own.example", "own.example", "https://evil.example#@own.example",
    "https://evil.example\\@own.example", "http://own.example, http://evil.example",
)  # fmt: skip
_HOSTS: Final = (
    "own.example", "own.example:8443", "own.example:80", None, "", "[::1]:80", "[", "a:b",
    "OWN.example",
    "own.example:99999", "user@own.example", "page.example",
)  # fmt: skip
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?")
_HOST: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?")


def check(data: bytes) -> None:
    choices = Choices(data)
    match choices.below(4):
        case 0:
            _check_query(choices)
        case 1:
            _check_cookies(choices)
        case 2:
            _check_token(choices)
        case _:
            _check_origin(choices)


def _check_query(choices: Choices) -> None:
    if choices.flip():
        text = spoil(choices, choices.pick(_QUERIES))
        try:
            query = parse_query(text)
        except ValueError:
            assert text.count("&") >= 100
            return
        for method in ("GET", "POST", ""):
            for upgrade in (True, False):
                error = check_query(method, query, upgrade=upgrade)
                good = query.get("EIO") == "4" and method == "GET"
                good = good and query.get("transport") == ("websocket" if upgrade else "polling")
                assert (error is None) == good
                assert error is None or error.status in {400, 403}
        return
    pairs = [(choices.pick(_NAMES), choices.pick(_VALUES)) for _ in range(choices.below(12))]
    encoded = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    assert parse_query(encoded) == dict(reversed(pairs)), "not the first value of each"


def _check_cookies(choices: Choices) -> None:
    if choices.flip():
        header = choices.rest.decode("latin-1")
        cookies = parse_cookies(header)
        assert len(cookies) <= header.count("=")
        for name, value in cookies.items():
            assert name in header
            assert value in header
            assert ";" not in name + value
    else:
        names = ("a", _COOKIE, "b", "A", "__Host-x", "$Version")
        pairs = [(choices.pick(names), choices.text(2)) for _ in range(choices.below(6))]
        pairs = [(name, re.sub(r'[";,\\\s]', "", value)) for name, value in pairs]
        header = choices.pick(("; ", ";", " ;  ")).join("=".join(pair) for pair in pairs)
        assert parse_cookies(header) == dict(reversed(pairs)), "not the first of each name"
    fields = [("cookie", header), ("x", "1"), ("x", "2")]
    headers = join_fields(fields)
    assert headers["x"] == "1, 2"
    caller = RemoteEndpoint("192.0.2.1", secure=False, host=None)
    assert open_handshake(headers, {}, caller).cookies == parse_cookies(header)


def _check_token(choices: Choices) -> None:
    payload = choices.pick(_PAYLOADS)
    scheme = choices.pick(("Bearer ", "bearer ", "BEARER  ", "Basic ", "Bearer", "", " Bearer "))
    header = choices.pick(_TOKENS)
    cookie = choices.pick((None, *_TOKENS))
    headers = {choices.pick(("Authorization", "authorization")): scheme + header}
    if choices.flip(4):
        headers = {}
    cookies = {} if cookie is None else {_COOKIE: cookie}
    found = find_token(payload, headers, cookies, _COOKIE)
    expected: tuple[str, TokenSource] | None = (cookie, TokenSource.COOKIE) if cookie else None
    by_bearer = re.fullmatch(r"(?i:bearer) (.*)", scheme + header, re.DOTALL)
    if headers and by_bearer and by_bearer[1].strip():
        expected = by_bearer[1].strip(), TokenSource.HEADER
    if isinstance(payload, dict) and isinstance(payload.get("token"), str) and payload["token"]:
        expected = payload["token"], TokenSource.PAYLOAD
    assert found == expected, "another token"


def _check_origin(choices: Choices) -> None:
    allowed = ["https://page.example/"] if choices.flip() else []
    if choices.flip(8):
        allowed.append(choices.pick(("*", "null")))
    origin = choices.pick(_ORIGINS)
    host = choices.pick(_HOSTS)
    if choices.flip(4):
        origin = spoil(choices, origin)
    cookies = {_COOKIE: "x"} if not choices.flip(8) else {}
    refused = OriginPolicy(allowed, [_COOKIE]).refuses(origin, host, cookies)
    assert not OriginPolicy(allowed, [_COOKIE]).refuses(None, host, cookies)
    by_list = "*" in allowed or origin.lower() in [each.rstrip("/") for each in allowed]
    if not cookies or by_list:
        assert not refused
    elif (plain := _ORIGIN.fullmatch(origin)) and (own := _HOST.fullmatch(host or "")):
        default = {"http": 80, "https": 443}[plain[1]]
        ports = int(plain[3] or 0) or default, int(own[2] or 0) or default
        same = plain[2] == own[1].lower() and ports[0] == ports[1] < 65_536
        assert refused != same or not _is_plain_host(plain[2]), "the wrong page is refused"
    elif "evil" in origin:
        assert refused, "a foreign page gets in"
    _check_cors(choices, [origin] * choices.below(3), allowed)


def _is_plain_host(host: str) -> bool:
    return not host.startswith("[") or host == "[::1]"


def _check_cors(choices: Choices, origins: list[str], allowed: list[str]) -> None:
    policy = CorsPolicy.of(allowed, ("GET",), ("X",), ("Y",))
    for fields in (policy.response_fields(origins), policy.preflight_fields(origins)):
        said = dict(fields)
        assert said["Vary"] == "Origin"
        let_in = said.get("Access-Control-Allow-Origin")
        named = [each.rstrip("/") for each in allowed if each not in {"*", "null"}]
        assert (let_in is not None) == (len(origins) == 1 and origins[0] in named)
        assert let_in in {None, *origins}
    method = choices.pick((None, "GET", ""))
    assert is_preflight("OPTIONS", method) == (method is not None)
    assert not is_preflight("GET", method)


TARGET = Target("handshake", check, max_size=64, slice=2_000)
