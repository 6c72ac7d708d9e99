"""A proxy before a PostgreSQL, which has TCP and TLS where the embedded one has neither."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import trio

SSL_REQUEST = (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big")
"""See "Message Formats" in PostgreSQL's documentation."""


class Proxy:
    """Passes connections on to the Unix socket of ``dsn``.

    :param context: of a server, for clients that ask for TLS; without one they are refused it.
    :param direct: expects TLS from the first byte.
    """

    def __init__(
        self, dsn: str, context: ssl.SSLContext | None = None, *, direct: bool = False
    ) -> None:
        (folder,) = parse_qs(urlsplit(dsn).query)["host"]
        self._path = f"{folder}/.s.PGSQL.5432"
        self._context = context
        self._direct = direct
        self.encrypted = 0
        """Connections that used TLS."""
        self.plain = 0
        """Connections that did not."""

    async def serve(self, client: trio.SocketStream) -> None:
        """Serve one connection."""
        async with client:
            first = b""
            stream: trio.abc.Stream = client
            if self._direct:
                stream = await self._with_tls(client)
            else:
                first = await receive_exactly(client, 8)
                if first == SSL_REQUEST:
                    first = b""
                    await client.send_all(b"N" if self._context is None else b"S")
                    if self._context is not None:
                        stream = await self._with_tls(client)
            self.plain += stream is client
            async with await trio.open_unix_socket(self._path) as server:
                await server.send_all(first)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pass_on, stream, server, nursery.cancel_scope)
                    nursery.start_soon(_pass_on, server, stream, nursery.cancel_scope)

    async def _with_tls(self, client: trio.SocketStream) -> trio.abc.Stream:
        assert self._context is not None
        stream = trio.SSLStream(client, self._context, server_side=True)
        await stream.do_handshake()
        self.encrypted += 1
        return stream


async def _pass_on(
    source: trio.abc.Stream, target: trio.abc.Stream, until: trio.CancelScope
) -> None:
    async for data in source:
        await target.send_all(data)
    until.cancel()


async def receive_exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    """Return the next ``size`` bytes; fewer at the end."""
    received = b""
    while len(received) < size and (chunk := await stream.receive_some(size - len(received))):
        received += chunk
    return received


@asynccontextmanager
async def listening(
    serve: Callable[[trio.SocketStream], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve connections within the block; the value is the port.

    Whatever is wrong with a connection ends that one.
    """

    async def handler(stream: trio.SocketStream) -> None:
        try:
            await serve(stream)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
