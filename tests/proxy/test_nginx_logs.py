"""nginx's logs: they hold no session's id, whatever goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import trio

from tests.proxy.nginx import HOST, PATIENCE, NginxProcess, proxy, refusing_port

SID = "Zm9yZ2VkLXNpZA"
POLL = f"/socket.io/?EIO=4&transport=polling&sid={SID}"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@asynccontextmanager
async def breaking_upstream() -> AsyncIterator[int]:
    """A server that reads a request, and ends the connection without a response."""
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)

    async def end(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, end, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def go_wrong(url: str) -> None:
    """Send requests with a session's id, each of which fails."""
    async with httpx.AsyncClient(base_url=url) as http:
        for headers in ({}, UPGRADE):
            assert (await http.get(POLL, headers=headers)).status_code == 503
        assert (await http.post(POLL, content=b"3")).status_code == 504
        assert (await http.post(POLL, content=b"x" * 1_100_000)).status_code == 413
        assert (await http.get("/healthz?elsewhere=1")).status_code == 503


async def until_logged(nginx: NginxProcess, number: int) -> None:
    """Wait until so many requests to the socket are in the access log, and no more.

    A request is written there behind its response: one that is too large, once its connection ends.
    """
    with trio.fail_after(PATIENCE):
        while sum("/socket.io/" in line for line in nginx.requests()) != number:  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_an_upstream_that_fails_leaves_no_session_id_in_the_logs() -> None:
    async with breaking_upstream() as breaking:
        with refusing_port() as refusing:
            for port in (refusing, breaking):
                async with proxy(port) as nginx:
                    await go_wrong(nginx.url)
                    await until_logged(nginx, 4)
                    assert SID not in nginx.log()
                    assert "/healthz?elsewhere=1" in nginx.log(), "errors of the upstream are seen"
                    assert all(SID not in line for line in nginx.requests())
