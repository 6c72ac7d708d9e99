"""Plain WebSockets and Socket.IO over the same rooms, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.gateway.events import LineupEvents
from gbs_actor.gateway.plain import PlainServer
from gbs_actor.settings import Settings
from gbs_actor.socketio import SocketServer
from gbs_actor.socketio.net.request import head_length, parse_request
from tests.gateway.composing import SLUG, Parts, composed, served_namespace
from tests.gateway.peer import Peer, talking
from tests.gateway.plain_peer import PlainPeer, talking_plainly

Duplex = trio.StapledStream[Any, Any]


@dataclass
class PlainWorld:
    """The servers, and ways to them."""

    parts: Parts
    events: LineupEvents
    sockets: SocketServer
    plain: PlainServer
    nursery: trio.Nursery

    def dial(self, make: Callable[[], tuple[Any, Any]] = trio.testing.memory_stream_pair) -> Duplex:
        """Return the client's end of a new connection to the plain server."""
        ours, theirs = make()
        self.nursery.start_soon(self._serve, theirs, self.plain.serve_websocket)
        stream: Duplex = ours
        return stream

    def connect(self, slug: str = SLUG, **token: Any) -> AbstractAsyncContextManager[PlainPeer]:
        """Connect as the holder of such a token, which goes into the header."""
        return talking_plainly(self.dial(), slug, token=self.parts.token(**token))

    def connect_with(self, slug: str = SLUG, **how: Any) -> AbstractAsyncContextManager[PlainPeer]:
        """Connect with headers and subprotocols, and no token but what stands there."""
        return talking_plainly(self.dial(), slug, **how)

    @asynccontextmanager
    async def joined(self, slug: str = SLUG, **token: Any) -> AsyncIterator[PlainPeer]:
        """Connect, and wait for the rows."""
        async with self.connect(slug, **token) as peer:
            await peer.event("initial-data")
            yield peer

    @asynccontextmanager
    async def joined_by_socketio(self, **token: Any) -> AsyncIterator[Peer]:
        """Join the same retreat by Socket.IO."""
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs, self.sockets.serve_websocket)
        async with talking(ours, auth={"token": self.parts.token(**token)}) as peer:
            assert (await peer.call("join-retreat", SLUG))["status"] == "OK"
            yield peer

    async def _serve(self, stream: Duplex, serve: Callable[..., Any]) -> None:
        data = b""
        while (length := head_length(data)) is None:
            data += await stream.receive_some()
        request = parse_request(data[:length])
        assert request is not None
        await serve(stream, request, data[length:])


@asynccontextmanager
async def plain_world(
    config: Settings | None = None,
    *,
    readers: tuple[Role, ...] = tuple(Role),
    **options: Any,
) -> AsyncIterator[PlainWorld]:
    """Serve within the block.

    :param options: of both servers.
    """
    async with composed(config, readers=readers) as parts:
        sockets = SocketServer(cookie_names=["accessToken"], **options)
        async with served_namespace(parts, sockets) as events:
            plain = PlainServer(events, sockets.options, sockets.connection_limit)
            async with sockets.serving(), plain.serving(), trio.open_nursery() as nursery:
                yield PlainWorld(parts, events, sockets, plain, nursery)
                nursery.cancel_scope.cancel()
