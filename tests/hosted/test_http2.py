"""HTTP/2 under stock Hypercorn, which keeps our limits because the app is ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from h2.errors import ErrorCodes

from tests.e2e.server_process import RETREAT, ServerProcess, running_server
from tests.server.http2_client import http2


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server(hosted=True) as running:
        yield running


async def test_a_refusal_before_the_body_leaves_the_connection(server: ServerProcess) -> None:
    stream = await trio.open_tcp_stream(server.host, server.port)
    async with http2(stream) as client:
        path = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups/3"
        refused = await client.ask("PUT", path, end=False)
        assert (await client.answer(refused)).status == 401
        await client.send(refused, b'{"gbsNumber":3}', end=True)
        assert (await client.request("GET", "/healthz")).status == 200


async def test_more_than_a_thousand_requests_come_over_one_connection(
    server: ServerProcess,
) -> None:
    stream = await trio.open_tcp_stream(server.host, server.port)
    async with http2(stream) as client:
        for _ in range(21):
            asked = [await client.ask("GET", "/healthz") for _ in range(50)]
            for number in asked:
                assert (await client.answer(number)).status == 200


async def test_a_flood_ends_its_connection(server: ServerProcess) -> None:
    stream = await trio.open_tcp_stream(server.host, server.port)
    async with http2(stream) as client:
        await client.send_raw((b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)) * 3_000)
        await client.until(lambda: client.closed)
        assert client.goaways[-1:] == [ErrorCodes.ENHANCE_YOUR_CALM]
