from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.socketio import BadForwardedField, RemoteEndpoint, TrustedProxies, parse_host

PROXY = "10.0.0.1"
STRANGER = "203.0.113.7"
CLIENT = "198.51.100.20"


def caller(
    peer: str | None,
    *forwarded_for: str,
    trusted: tuple[str, ...] = ("10.0.0.0/8", "::1"),
    secure: bool = False,
    **headers: str,
) -> RemoteEndpoint:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if forwarded_for:
        fields["x-forwarded-for"] = ", ".join(forwarded_for)
    return TrustedProxies(trusted).resolve(peer, secure=secure, headers=fields)


# Whose word counts


def test_by_default_nobody_is_trusted() -> None:
    told = {"x-forwarded-for": CLIENT, "x-forwarded-proto": "https", "x-forwarded-host": "other"}
    for peer in ("127.0.0.1", "::1", None):
        got = TrustedProxies().resolve(peer, secure=False, headers={"host": "here", **told})
        assert got == RemoteEndpoint(peer, False, "here")


def test_a_stranger_is_not_believed() -> None:
    got = caller(STRANGER, CLIENT, x_forwarded_proto="https", x_forwarded_host="other", host="here")
    assert got == RemoteEndpoint(STRANGER, False, "here")


def test_a_trusted_proxy_says_who_called_how_and_what() -> None:
    got = caller(
        PROXY, CLIENT, x_forwarded_proto="https", x_forwarded_host="gbs.example:8", host="here"
    )
    assert got == RemoteEndpoint(CLIENT, True, "gbs.example:8")


def test_a_proxy_that_says_nothing_is_the_caller() -> None:
    assert caller(PROXY, secure=True, host="here") == RemoteEndpoint(PROXY, True, "here")


def test_a_proxy_behind_tls_may_have_been_called_without() -> None:
    assert not caller(PROXY, CLIENT, secure=True, x_forwarded_proto="http").secure


def test_a_peer_of_a_unix_socket_is_trusted_if_wished() -> None:
    assert caller(None, CLIENT, trusted=("unix",)).address == CLIENT
    assert caller(None, CLIENT).address is None


def test_an_ipv4_peer_of_a_listener_for_both_families_is_an_ipv4_peer() -> None:
    assert caller(f"::ffff:{PROXY}", CLIENT).address == CLIENT
    assert caller(f"::ffff:{STRANGER}", CLIENT).address == STRANGER


def test_a_peer_that_is_no_address_is_not_trusted() -> None:
    assert caller("somewhere", CLIENT, trusted=("0.0.0.0/0", "::/0", "unix")).address == "somewhere"


# How X-Forwarded-For is read


def test_what_the_client_itself_claims_is_not_believed() -> None:
    assert caller(PROXY, "1.1.1.1", "10.9.9.9", CLIENT).address == CLIENT


def test_further_proxies_are_skipped() -> None:
    assert caller(PROXY, "1.1.1.1", CLIENT, "10.2.2.2", "::1").address == CLIENT


def test_where_all_are_trusted_the_furthest_is_the_caller() -> None:
    assert caller(PROXY, "10.5.5.5", "10.2.2.2").address == "10.5.5.5"


def test_garbage_ends_the_reading_at_the_proxy_that_let_it_pass() -> None:
    assert caller(PROXY, CLIENT, "unknown", "10.2.2.2").address == "10.2.2.2"
    assert caller(PROXY, CLIENT, "unknown").address == PROXY


def test_a_hop_over_a_unix_socket_is_skipped_if_it_is_trusted() -> None:
    assert caller(None, CLIENT, "unix:", trusted=("unix",)).address == CLIENT
    assert caller(PROXY, CLIENT, "unix:").address is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"{CLIENT}:4711", CLIENT),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"  {CLIENT} ,, ", CLIENT),
    ],
)
def test_ports_brackets_and_spelling_make_no_difference(text: str, address: str) -> None:
    assert caller(PROXY, text).address == address


@given(
    claimed=st.lists(st.text(max_size=20).filter(lambda text: "," not in text), max_size=4),
    client=st.ip_addresses().filter(
        lambda address: (
            str(address) != "::1"
            and not (isinstance(address, IPv4Address) and address in IPv4Network("10.0.0.0/8"))
            and getattr(address, "ipv4_mapped", None) is None
        )
    ),
    proxies=st.lists(st.ip_addresses(network="10.0.0.0/8"), max_size=3),
)
def test_whatever_a_client_claims_it_is_the_one_the_outermost_proxy_saw(
    claimed: list[str], client: object, proxies: list[object]
) -> None:
    assert caller(PROXY, *claimed, str(client), *map(str, proxies)).address == str(client)


@given(st.text(), st.text(), st.text())
def test_every_other_field_is_refused(forwarded_for: str, scheme: str, host: str) -> None:
    try:
        got = caller(PROXY, forwarded_for, x_forwarded_proto=scheme, x_forwarded_host=host)
    except BadForwardedField:
        return
    assert got.host is None or parse_host(got.host) is not None


# How the others are read


@pytest.mark.parametrize(
    ("forwarded_for", "counts"),
    [
        ((), "inner"),
        ((CLIENT,), "inner"),
        ((CLIENT, "10.2.2.2"), "outer"),
        (("1.1.1.1", CLIENT, "10.2.2.2"), "outer"),
        ((CLIENT, "10.2.2.2", "10.3.3.3"), "forged"),
        ((CLIENT, "10.2.2.2", "10.3.3.3", "::1"), "forged"),
    ],
)
def test_the_host_and_the_scheme_that_the_outermost_trusted_proxy_has_added_count(
    forwarded_for: tuple[str, ...], counts: str
) -> None:
    got = caller(PROXY, *forwarded_for, x_forwarded_host="forged, outer, inner", host="here")
    assert got.host == counts
    schemes = {"inner": "https, http, https", "outer": "http, https, http"}
    got = caller(PROXY, *forwarded_for, x_forwarded_proto=schemes.get(counts, "https, http, http"))
    assert got.secure


def test_a_proxy_that_replaces_the_field_is_believed() -> None:
    got = caller(PROXY, CLIENT, "10.2.2.2", x_forwarded_host="told", x_forwarded_proto="https")
    assert (got.host, got.secure) == ("told", True)


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "wss", "http, https"])
def test_tls_has_two_schemes(scheme: str) -> None:
    assert caller(PROXY, x_forwarded_proto=scheme).secure


@pytest.mark.parametrize("scheme", ["", ",", "http", "ws", "https, http"])
def test_without_one_of_them_there_was_no_tls(scheme: str) -> None:
    assert not caller(PROXY, x_forwarded_proto=scheme).secure


@pytest.mark.parametrize("scheme", ["gopher", "https http", "https,x", "ü"])
def test_what_is_no_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(BadForwardedField):
        caller(PROXY, x_forwarded_proto=scheme)
    assert not caller(STRANGER, x_forwarded_proto=scheme).secure


@pytest.mark.parametrize(
    "host", ["a b", "http://x", "a/b", "a:b", "u@h", "a\r\nX: y", "ü", "a..b", "[::1", "a:70000"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadForwardedField):
        caller(PROXY, x_forwarded_host=host, host="here")
    assert caller(STRANGER, x_forwarded_host=host, host="here").host == "here"


@pytest.mark.parametrize("host", ["gbs.example", "gbs.example:8443", "[::1]:80", "inner, outer_1"])
def test_a_host_may_have_a_port(host: str) -> None:
    assert caller(PROXY, x_forwarded_host=host, host="here").host == host.rpartition(", ")[2]
    assert caller(PROXY, x_forwarded_host="", host="here").host == "here"


# What can be trusted


@pytest.mark.parametrize("proxy", ["10.0.0.1/8", "localhost", "", "10.0.0", "10.0.0.0/33", "unix:"])
def test_what_is_no_address_cannot_be_trusted(proxy: str) -> None:
    with pytest.raises(ValueError, match="is no IP address") as caught:
        TrustedProxies([proxy])
    assert repr(proxy) in str(caught.value)
