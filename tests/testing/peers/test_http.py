"""The peers' HTTP/1.1, against bytes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.testing.network import Address, SimStream, connection
from gbs_actor.testing.peers.http import HttpConnection
from gbs_actor.testing.peers.messages import HttpReply
from gbs_actor.testing.peers.transport import TransportClosed

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"


def pair() -> tuple[HttpConnection, SimStream]:
    ours, theirs = connection(Address("198.18.0.1", 50_000), Address("198.51.100.1", 80))
    return HttpConnection(ours), theirs


async def get(http: HttpConnection) -> HttpReply:
    return await http.request("GET", "/x?y=1", headers={"Accept": "z"})


async def test_a_request_and_its_response() -> None:
    http, server = pair()
    await server.send_all(RESPONSE)
    reply = await get(http)
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "a/b", b"ok")
    request, *fields = (await server.receive_some()).split(b"\r\n")
    assert request == b"GET /x?y=1 HTTP/1.1"
    assert fields == [b"Host: lineup.test", b"Accept: z", b"", b""]


async def test_fields_may_come_several_times_and_in_any_case() -> None:
    http, server = pair()
    await server.send_all(
        RESPONSE.replace(b"Content-Type: a/b", b"Set-Cookie: a=1\r\nset-cookie: b=2")
    )
    reply = await http.request("GET", "/", headers=[("Origin", "a"), ("Origin", "\xe9")])
    assert reply.headers.get_all("SET-COOKIE") == ["a=1", "b=2"]
    assert b"Origin: a\r\nOrigin: \xe9\r\n" in await server.receive_some()


async def test_a_body_has_its_length_and_a_post_without_one_says_so() -> None:
    http, server = pair()
    await server.send_all(RESPONSE)
    await http.request("POST", "/", headers={}, body=b"abc")
    assert (await server.receive_some()).endswith(b"Content-Length: 3\r\n\r\nabc")
    await server.send_all(RESPONSE)
    await http.request("POST", "/", headers={})
    assert (await server.receive_some()).endswith(b"Content-Length: 0\r\n\r\n")


async def test_an_interim_response_and_chunks_are_understood() -> None:
    http, server = pair()
    await server.send_all(
        b"HTTP/1.1 103 Early Hints\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
    )
    assert (await get(http)).body == b"abc"


async def test_a_connection_is_reused_until_it_was_idle_too_long_or_is_closed(
    autojump_clock: MockClock,
) -> None:
    http, server = pair()
    assert http.reusable(60)
    await server.send_all(RESPONSE)
    await get(http)
    await trio.sleep(60)
    assert http.reusable(60)
    await trio.sleep(1)
    assert not http.reusable(60)
    await server.send_all(RESPONSE.replace(b"200 OK", b"200 OK\r\nConnection: close"))
    await get(http)
    assert not http.reusable(600)


@pytest.mark.parametrize("part", [b"", RESPONSE[:20], RESPONSE[:-1]])
async def test_an_end_before_the_response_is_complete_is_no_response(part: bytes) -> None:
    http, server = pair()
    await server.send_all(part)
    await server.send_eof()
    with pytest.raises(TransportClosed, match="no response"):
        await get(http)


async def test_a_response_is_read_even_if_the_request_could_not_be_sent() -> None:
    http, server = pair()
    await server.send_all(RESPONSE)
    await server.aclose()
    assert (await get(http)).status == 200


async def test_a_server_that_breaks_the_protocol_fails_the_test() -> None:
    http, server = pair()
    await server.send_all(b"nonsense\r\n\r\n")
    with pytest.raises(AssertionError, match=r"breaks HTTP/1\.1"):
        await get(http)


async def test_a_cancelled_request_cuts_the_connection(autojump_clock: MockClock) -> None:
    http, server = pair()
    with trio.move_on_after(1):
        await get(http)
    assert not http.reusable(600)
    assert await server.receive_some() != b""
    assert await server.receive_some() == b""
