"""Whom ``X-Forwarded-*`` is believed, and what nobody can make the server believe."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from gbs_actor.socketio import RemoteEndpoint, TrustedProxies
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.values import spoil

_ADDRESSES: Final = (
    "10.0.0.1", "10.0.0.2:443", "192.0.2.7", "192.0.2.8", "2001:db8::1", "[2001:db8::1]:80",
    "[2001:db8::2]", "::ffff:10.0.0.1", "::ffff:192.0.2.7", "fe80::1%eth0", "unix:", "unknown",
    "_hidden", "10.0.0.1:", "[10.0.0.1]", "[]", "[::1", "1.2.3", "010.0.0.1", "10.0.0.1:99999999",
    "", " ", "٣.٣.٣.٣", "10.0.0.256", '"192.0.2.7"', "::", "0.0.0.0", "127.0.0.1", "fe80::1%a,b",
)  # fmt: skip
_PROXIES: Final = ("10.0.0.0/8", "unix", "2001:db8::/32", "127.0.0.1", "::1", "0.0.0.0/0", "::/0")
_SCHEMES: Final = ("https", "http", "wss", "ws", "HTTPS", "ftp", "", "https, http", "http,", "on")
_HOSTS: Final = (
    "a.example", "a.example:8443", "[::1]:80", "a b", "", "a/../b", "a.example, b.example",
    "a:999999", "[zz]", "http://a", "a\x00", "ａ", "x" * 300,
)  # fmt: skip
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]+)?")


def check(data: bytes) -> None:
    choices = Choices(data)
    trusted = [proxy for proxy in _PROXIES if choices.flip()]
    proxies = TrustedProxies(trusted)
    peer = choices.pick(("10.0.0.1", None, "192.0.2.9", "::ffff:10.0.0.9", "2001:db8::9", "bad"))
    secure = choices.flip()
    hops = [_address(choices) for _ in range(choices.below(6))]
    headers = {"host": "own.example"} if choices.flip() else {}
    if choices.flip():
        headers["x-forwarded-proto"] = choices.pick(_SCHEMES)
    if choices.flip():
        headers["x-forwarded-host"] = spoil_seldom(choices, choices.pick(_HOSTS))
    if hops:
        headers["x-forwarded-for"] = choices.pick((", ", ",", " , ")).join(hops)
    caller = proxies.resolve(peer, secure=secure, headers=headers)
    host = headers.get("host")
    if not _trusts(trusted, peer):
        plain = None if peer is None else _plain(peer) or peer
        assert caller == RemoteEndpoint(plain, secure, host), "a stranger is believed"
        return
    assert caller.address == _client(trusted, peer, headers.get("x-forwarded-for", ""))
    assert caller.host == host or (caller.host and _HOST.fullmatch(caller.host))
    # Whoever is no proxy writes to the left of those who are, and moves nothing by it.
    if hops and caller.address is not None and not _trusts(trusted, caller.address):
        forged = ", ".join((_address(choices), *hops))
        again = proxies.resolve(peer, secure=secure, headers=headers | {"x-forwarded-for": forged})
        assert again.address == caller.address, "the client says who it is"


def spoil_seldom(choices: Choices, text: str) -> str:
    return spoil(choices, text) if choices.flip(8) else text


def _address(choices: Choices) -> str:
    return spoil_seldom(choices, choices.pick(_ADDRESSES))


def _client(trusted: list[str], peer: str | None, forwarded: str) -> str | None:
    """Walk from the nearest proxy to the first that is none."""
    address = None if peer is None else _plain(peer)
    hops = [hop for hop in (text.strip() for text in forwarded.split(",")) if hop]
    while hops and _trusts(trusted, address):
        hop = hops.pop()
        if hop == "unix:":
            address = None
        elif (following := _plain(_without_port(hop))) is None:
            break
        else:
            address = following
    return address


def _without_port(text: str) -> str:
    if found := re.fullmatch(r"\[([^\]]*)\](:[0-9]+)?", text):
        return found[1]
    if found := re.fullmatch(r"([0-9.]+):[0-9]+", text):
        return found[1]
    return text


def _plain(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _trusts(trusted: list[str], text: str | None) -> bool:
    if text is None:
        return "unix" in trusted
    plain = _plain(text)
    if plain is None:
        return False
    address = ip_address(plain)
    networks = [ip_network(each) for each in trusted if each != "unix"]
    return any(address.version == each.version and address in each for each in networks)


TARGET = Target("trusted-proxies", check, max_size=64, slice=2_000)
