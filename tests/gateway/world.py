"""Plain WebSockets and Socket.IO over the same rooms, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.gateway.plain import PlainServer
from gbs_actor.settings import Settings
from gbs_actor.socketio import SocketServer
from gbs_actor.socketio.net.request import head_length, parse_request
from tests.gateway.composing import (
    SLUG,
    BreakableStore,
    Parts,
    Realtime,
    composed,
    served_namespace,
)
from tests.gateway.peer import Peer, talking
from tests.gateway.plain_peer import PlainPeer, talking_plainly

Duplex = trio.StapledStream[Any, Any]
Transport = Literal["socketio", "plain"]


class Talker(Protocol):
    """A client of either transport; see there."""

    @property
    def closed(self) -> trio.Event: ...

    async def emit(self, name: str, argument: Any, /) -> None: ...

    async def begin(self, name: str, argument: Any, /) -> int: ...

    async def reply(self, identifier: int, /) -> dict[str, Any]: ...

    async def call(self, name: str, argument: Any, /) -> dict[str, Any]: ...

    async def event(self, name: str, /) -> Any: ...

    async def payload(self, name: str, wanted: Callable[[Any], bool], /) -> Any: ...

    def named(self, name: str, /) -> list[Any]: ...

    def order(self) -> list[str]: ...

    def forget(self) -> None: ...


@dataclass
class World:
    """The servers, and ways to them."""

    parts: Parts
    realtime: Realtime
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

    def connect_socketio(
        self, auth: dict[str, Any] | None = None, cookie: str | None = None, **token: Any
    ) -> AbstractAsyncContextManager[Peer]:
        """Connect by Socket.IO: with such a token in the payload, unless told otherwise."""
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs, self.sockets.serve_websocket)
        headers = {} if cookie is None else {"Cookie": f"accessToken={cookie}"}
        if auth is None and cookie is None:
            auth = {"token": self.parts.token(**token)}
        return talking(ours, auth=auth, headers=headers)

    @asynccontextmanager
    async def joined_by_socketio(self, slug: str = SLUG, **how: Any) -> AsyncIterator[Peer]:
        """Join the same retreat by Socket.IO."""
        async with self.connect_socketio(**how) as peer:
            assert (await peer.call("join-retreat", slug))["status"] == "OK"
            yield peer

    @asynccontextmanager
    async def joined_by(
        self, transport: Transport, slug: str = SLUG, *, cookie: str | None = None, **token: Any
    ) -> AsyncIterator[Talker]:
        """Join a retreat by either transport."""
        if transport == "socketio":
            async with self.joined_by_socketio(slug, cookie=cookie, **token) as peer:
                yield peer
            return
        headers = {"Cookie": f"accessToken={cookie}"}
        plain = (
            self.connect(slug, **token)
            if cookie is None
            else self.connect_with(slug, headers=headers)
        )
        async with plain as plain_peer:
            await plain_peer.event("initial-data")
            plain_peer.forget()
            yield plain_peer

    @asynccontextmanager
    async def outside_by(
        self, transport: Transport, slug: str = SLUG, **token: Any
    ) -> AsyncIterator[Talker]:
        """Connect by either transport, and be in no room.

        :param slug: where a plain WebSocket has to go in to get there.
        """
        if transport == "socketio":
            async with self.connect_socketio(**token) as peer:
                yield peer
            return
        async with self.joined_by(transport, slug, **token) as plain_peer:
            await plain_peer.call("leave-retreat", slug)
            plain_peer.forget()
            yield plain_peer

    async def _serve(self, stream: Duplex, serve: Callable[..., Any]) -> None:
        data = b""
        while (length := head_length(data)) is None:
            data += await stream.receive_some()
        request = parse_request(data[:length])
        assert request is not None
        await serve(stream, request, data[length:])


@asynccontextmanager
async def world(
    config: Settings | None = None,
    *,
    readers: tuple[Role, ...] = tuple(Role),
    store: BreakableStore | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """Serve within the block.

    :param store: see :func:`composed`.
    :param options: of both servers.
    """
    async with composed(config, readers=readers, store=store) as parts:
        sockets = SocketServer(cookie_names=["accessToken"], **options)
        async with served_namespace(parts, sockets) as realtime:
            plain = PlainServer(
                realtime.clients,
                realtime.dispatch,
                sockets.options,
                connection_limit=sockets.connection_limit,
                unauthenticated=sockets.unauthenticated,
                closed_sessions=realtime.closed,
                memory_limit=sockets.memory_limit,
            )
            async with sockets.serving(), plain.serving(), trio.open_nursery() as nursery:
                yield World(parts, realtime, sockets, plain, nursery)
                nursery.cancel_scope.cancel()
