"""A network between clients and the server that fails when told to."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from tests.e2e.server_process import ServerProcess

AT_ONCE = struct.pack("ii", 1, 0)
"""An SO_LINGER of 0 seconds: closing sends RST and drops what was not sent yet."""


@dataclass
class Relay:
    """Passes TCP connections on to the server, byte by byte, until it is told otherwise."""

    server: ServerProcess
    port: int
    knows_websockets: bool
    passed: int = 0
    """Bytes, both ways."""
    accepted: int = 0
    """Connections so far."""
    _open: bool = True
    _answers_pass: trio.Event = field(default_factory=trio.Event)
    _websockets_pass: trio.Event = field(default_factory=trio.Event)
    _streams: set[trio.SocketStream] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._answers_pass.set()
        self._websockets_pass.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Reset every connection, and every new one until :meth:`reopen`."""
        self._open = False
        for stream in self._streams:
            _reset(stream)

    def reopen(self) -> None:
        """Pass new connections on again."""
        self._open = True

    def hold_answers(self) -> None:
        """Pass on nothing of what the server says, until :meth:`release_answers`."""
        self._answers_pass = trio.Event()

    def release_answers(self) -> None:
        """Pass on what the server has said meanwhile, and what it says."""
        self._answers_pass.set()

    def hold_websockets(self) -> None:
        """Pass on no handshake of a WebSocket, until :meth:`release_websockets`."""
        self._websockets_pass = trio.Event()

    def release_websockets(self) -> None:
        """Pass on the handshakes that wait, and new ones."""
        self._websockets_pass.set()

    async def carry(self, client: trio.SocketStream) -> None:
        """Serve one connection until both sides have ended it."""
        self.accepted += 1
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            self._streams.add(client)
            stack.callback(self._streams.discard, client)
            if not self._open:
                _reset(client)
                return
            try:
                server = await trio.open_tcp_stream(self.server.host, self.server.port)
            except OSError:
                _reset(client)  # the server is down
                return
            await stack.enter_async_context(server)
            self._streams.add(server)
            stack.callback(self._streams.discard, server)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_requests, client, server)
                nursery.start_soon(self._pass_answers, server, client)

    async def _pass_requests(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        with _both_end(client, server):
            async for data in client:
                if b"upgrade: websocket" in data.lower():
                    if not self.knows_websockets:
                        _reset(client)
                    await self._websockets_pass.wait()
                self.passed += len(data)
                await server.send_all(data)
            await server.send_eof()

    async def _pass_answers(self, server: trio.SocketStream, client: trio.SocketStream) -> None:
        with _both_end(server, client):
            async for data in server:
                await self._answers_pass.wait()
                self.passed += len(data)
                await client.send_all(data)
            await client.send_eof()


@contextlib.contextmanager
def _both_end(one: trio.SocketStream, other: trio.SocketStream) -> Iterator[None]:
    """End both connections where one of them breaks."""
    try:
        yield
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        _reset(one)
        _reset(other)


def _reset(stream: trio.SocketStream) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    stream.socket.close()


@asynccontextmanager
async def relay_to(server: ServerProcess, *, knows_websockets: bool = True) -> AsyncIterator[Relay]:
    """A relay for the time of a block.

    :param knows_websockets: otherwise it cuts them, as some proxies do.
    """
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    relay = Relay(server, listener.socket.getsockname()[1], knows_websockets)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, relay.carry, [listener])
        try:
            yield relay
        finally:
            nursery.cancel_scope.cancel()
