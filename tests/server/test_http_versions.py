"""Our own listener speaks HTTP/1.1 only, with and without TLS, whatever clients offer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.certificates import Authority
from tests.server.running import Running, answer, everything, running, secured

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
H2C = (
    b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

Serving = Callable[[], AbstractAsyncContextManager[Running]]


@pytest.fixture(params=["http", "https"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Serving:
    @asynccontextmanager
    async def over_tls() -> AsyncIterator[Running]:
        authority = Authority()
        using = secured(authority.issue(tmp_path))
        async with running(using=using, tls=authority.client_context()) as server:
            yield server

    return running if request.param == "http" else over_tls


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None), ([], None)],
)
async def test_tls_agrees_on_http_1_1_only(
    tmp_path: Path, offered: list[str], agreed: str | None
) -> None:
    authority = Authority()
    using = secured(authority.issue(tmp_path))
    async with running(using=using, tls=authority.client_context(offered)) as server:
        stream = await server.stream()
        assert isinstance(stream, trio.SSLStream)
        async with stream:
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() == agreed
            assert (await answer(stream, HEALTH)).startswith(b"HTTP/1.1 200 ")


async def test_an_upgrade_to_http_2_is_ignored(serving: Serving) -> None:
    async with serving() as server, await server.stream() as stream:
        for _ in range(3):
            assert (await answer(stream, H2C)).startswith(b"HTTP/1.1 200 ")
        assert (await answer(stream, HEALTH)).startswith(b"HTTP/1.1 200 ")


async def test_the_preface_of_http_2_gets_505_and_the_end_of_its_connection(
    serving: Serving,
) -> None:
    async with serving() as server:
        received = await server.ask(PREFACE + SETTINGS)
        assert received.startswith(b"HTTP/1.1 505 ")
        assert b"\r\nConnection: close\r\n" in received
        assert b"HTTP/1.1" in received.partition(b"\r\n\r\n")[2]


async def test_the_preface_ends_a_connection_in_use_too(serving: Serving) -> None:
    async with serving() as server, await server.stream() as stream:
        await answer(stream, HEALTH)
        await stream.send_all(PREFACE + SETTINGS)
        received = await everything(stream)
    assert received.startswith(b"HTTP/1.1 505 ")
    assert SETTINGS[3:5] not in received
