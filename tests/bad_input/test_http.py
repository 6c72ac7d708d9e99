"""Bytes that are no HTTP request, and requests that are no handshake."""

from __future__ import annotations

import json

import pytest
import trio

from tests.bad_input.wire import PATH, upgrade_request, wire_to
from tests.e2e.server_process import ServerProcess

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"G", id="one byte"),
        pytest.param(b"GET /socket.io/?EIO=4", id="half a request line"),
        pytest.param(upgrade_request()[:-2], id="a handshake without its end"),
    ],
)
async def test_half_a_head_is_not_waited_for_long(server: ServerProcess, data: bytes) -> None:
    async with wire_to(server) as wire:
        await wire.send(data)
        start = trio.current_time()
        await wire.rest()
        assert trio.current_time() - start <= 3


async def test_a_head_that_comes_byte_by_byte_has_no_more_time(server: ServerProcess) -> None:
    async with wire_to(server) as wire:
        start = trio.current_time()
        with trio.move_on_after(5):
            for byte in upgrade_request():
                await wire.stream.send_all(bytes([byte]))
                await trio.sleep(0.05)
                if trio.current_time() - start > 2:
                    break
        await wire.rest()
        assert trio.current_time() - start <= 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300), id="TLS"),
        pytest.param(bytes(range(256)) * 4, id="all bytes"),
        pytest.param(b"\r\n" * 3_000, id="empty lines"),
        pytest.param(b"GET\r\n\r\n", id="a request line of one word"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nx\r\n\r\n", id="a header without a colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", id="a NUL in a header"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", id="a NUL in the target"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", id="a long header"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", id="many headers"
        ),
        pytest.param(b"GET /" + b"x" * 100_000, id="an endless target"),
        pytest.param(b"GET http://[::1/healthz HTTP/1.1\r\nHost: a\r\n\r\n", id="no URL"),
    ],
)
async def test_what_is_no_request_is_refused_or_cut_off(server: ServerProcess, data: bytes) -> None:
    async with wire_to(server) as wire:
        await wire.send(data)
        answer = await wire.rest()
        assert answer == b"" or 400 <= int(answer.split(b" ", 2)[1]) < 600


BODY_HEAD = b"POST /healthz HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            BODY_HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nnonsense\r\n", id="no chunk size"
        ),
        pytest.param(
            BODY_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
            id="a huge chunk size",
        ),
        pytest.param(
            BODY_HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n\r\n", id="a negative chunk"
        ),
        pytest.param(
            BODY_HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /x",
            id="two lengths",
        ),
        pytest.param(BODY_HEAD + b"Content-Length: -5\r\n\r\n", id="a negative length"),
        pytest.param(BODY_HEAD + b"Content-Length: nine\r\n\r\n", id="no length"),
        pytest.param(BODY_HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", id="digits"),
        pytest.param(
            BODY_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx", id="two numbers"
        ),
        pytest.param(
            BODY_HEAD + b"Content-Length: 1000000000\r\n\r\nx", id="a body that never comes"
        ),
        pytest.param(BODY_HEAD + b"Transfer-Encoding: x\r\n\r\nxxxx", id="an unknown coding"),
        pytest.param(H2_PREFACE + b"x" * 100, id="HTTP/2 and garbage"),
        pytest.param(H2_PREFACE + SETTINGS + b"\x00\x40\x01\x00", id="half an HTTP/2 frame"),
        pytest.param(
            H2_PREFACE + SETTINGS + b"\x00\x00\x05\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff\xff",
            id="HTTP/2 headers that do not unpack",
        ),
        pytest.param(
            H2_PREFACE + SETTINGS + b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            id="an HTTP/2 window of zero",
        ),
        pytest.param(H2_PREFACE + SETTINGS * 5_000, id="a flood of HTTP/2 settings"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", id="half the HTTP/2 preface"),
    ],
)
async def test_a_broken_body_ends_that_connection_only(server: ServerProcess, data: bytes) -> None:
    async with wire_to(server) as wire:
        await wire.send(data)
        await wire.rest()


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(upgrade_request(key="nonsense"), id="a malformed key"),
        pytest.param(upgrade_request(key=""), id="an empty key"),
        pytest.param(upgrade_request(key="ä" * 24), id="a key beyond ASCII"),
        pytest.param(upgrade_request(version="8"), id="an old version"),
        pytest.param(upgrade_request(version="x"), id="no version"),
        pytest.param(
            upgrade_request().replace(b"Sec-WebSocket-Key", b"X-Nothing"), id="without a key"
        ),
        pytest.param(upgrade_request().replace(b"GET", b"POST", 1), id="by POST"),
        pytest.param(
            upgrade_request(extra="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), id="two keys"
        ),
    ],
)
@pytest.mark.parametrize("trailing", [b"", b"x" * 30], ids=["alone", "with trailing bytes"])
async def test_a_malformed_handshake_is_refused(
    server: ServerProcess, request_head: bytes, trailing: bytes
) -> None:
    async with wire_to(server) as wire:
        await wire.send(request_head + trailing)
        answer = await wire.rest()
        assert answer == b"" or 400 <= int(answer.split(b" ", 2)[1]) < 500


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/x", "/socket.io", "/socket.iox/"])
async def test_an_upgrade_elsewhere_is_refused(server: ServerProcess, path: str) -> None:
    async with wire_to(server) as wire:
        await wire.send(upgrade_request(path, key="nonsense") + b"x" * 30)
        answer = await wire.rest()
        assert answer == b"" or 400 <= int(answer.split(b" ", 2)[1]) < 500


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("EIO=3&transport=websocket", 5),
        ("transport=websocket", 5),
        ("EIO=4", 0),
        ("EIO=4&transport=carrier-pigeon", 0),
        ("EIO=4&transport=websocket&sid=nobody", 1),
    ],
)
async def test_a_wrong_query_is_refused_with_engine_ios_code(
    server: ServerProcess, query: str, code: int
) -> None:
    async with wire_to(server) as wire:
        await wire.send(upgrade_request(f"/socket.io/?{query}"))
        answer = (await wire.rest()).decode("latin-1")
        status = int(answer.split(" ", 2)[1])
        if status == 101:
            return  # accepted and closed: "Over WebSocket: closed."
        assert status == 400
        assert json.loads(answer.partition("\r\n\r\n")[2])["code"] == code


@pytest.mark.parametrize(
    "path",
    [
        PATH.replace("websocket", "%00"),
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/retreat/%00/line-up/user-lineups",
        "/api/v1/retreat/" + "x" * 4_000 + "/line-up/user-lineups",
        "/api/v1/retreat/2024-winter/line-up/user-lineups?since=" + "9" * 5_000,
        "/api/v1/retreat/2024-winter/line-up/user-lineups?since=-1",
        "/%ff%fe",
    ],
)
async def test_a_strange_target_is_refused(
    server: ServerProcess, good_token: str, path: str
) -> None:
    async with wire_to(server) as wire:
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        await wire.send(f"{head}Authorization: Bearer {good_token}\r\n\r\n".encode())
        assert 400 <= await wire.status() < 500
