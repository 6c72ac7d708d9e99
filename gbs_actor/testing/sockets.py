"""A Socket.IO server of one's own in a test, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, get_args

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.socketio import FrontDoor, HttpResponse, HttpStream, SocketServer, send_response
from gbs_actor.testing.environment import START
from gbs_actor.testing.network import (
    PERFECT,
    Address,
    Conditions,
    Descriptors,
    SimListener,
    SimStream,
    sim_plane,
)
from gbs_actor.testing.owned_tasks import owned_tasks
from gbs_actor.testing.peers import Carrier, Json, OnMessage, SocketPeer

_NOT_FOUND: Final = HttpResponse(404, b"There is nothing but Socket.IO here.")


class SocketHarness:
    """A served server and the way to it; made by :func:`socket_server`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        server: SocketServer,
        listener: SimListener,
        conditions: Conditions,
    ) -> None:
        self.server = server
        """The one under test."""
        self._nursery = nursery
        self._listener = listener
        self._conditions = conditions
        self._addresses = self._connections = 0

    async def connect(
        self,
        namespace: str = "/",
        *,
        auth: Mapping[str, Json] | None = None,
        transport: Carrier = "websocket",
        headers: Mapping[str, str] | None = None,
        address: str | None = None,
        on_message: OnMessage | None = None,
    ) -> SocketPeer:
        """Connect a client to a namespace; it stays until the end of the block.

        :param auth: what ``on_connect`` gets.
        :param headers: of the handshake.
        :param address: its IP address; default: one of its own.
        :param on_message: called for each message received; see there.
        :raises PeerRefused: by a handler, or as there is no such namespace.
        """
        if transport not in get_args(Carrier):
            known = ", ".join(map(repr, get_args(Carrier)))
            raise ValueError(f"no transport {transport!r}; there are {known}")
        host = self._next_address() if address is None else address

        async def dial() -> SimStream:
            return await self.open_stream(host)

        peer = SocketPeer(
            self._nursery,
            dial,
            namespace=namespace,
            path=self.server.path,
            carrier=transport,
            auth=auth,
            headers=headers or {},
            on_message=on_message,
        )
        await peer.connect(recover=False)
        return peer

    async def open_stream(self, address: str | None = None) -> SimStream:
        """Open a connection, and say nothing on it.

        :param address: the IP address that it comes from; default: one of its own.
        """
        await trio.lowlevel.checkpoint()
        host = self._next_address() if address is None else address
        self._connections += 1
        return self._listener.connect(Address(host, self._connections), self._conditions)

    async def settle(self) -> None:
        """Return once everything is done that can be at this instant of Trio's clock."""
        await wait_all_tasks_blocked()

    def _next_address(self) -> str:
        self._addresses += 1
        return f"198.18.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"


@asynccontextmanager
async def socket_server(
    server: SocketServer, *, conditions: Conditions = PERFECT
) -> AsyncIterator[SocketHarness]:
    """Serve a server of Socket.IO within the block, over WebSocket and long-polling.

    At the end of the block its tasks are cancelled. Exceptions are raised as by
    :func:`~gbs_actor.testing.lineup_server`.

    :param server: with its namespaces and handlers; not served yet.
    :param conditions: what connections do to their bytes; default: nothing.
    """
    descriptors = Descriptors()
    listener = SimListener(descriptors)
    former, server.open_plane = server.open_plane, partial(sim_plane, descriptors)
    try:
        async with owned_tasks() as nursery:
            await nursery.start(_serve, server, listener)
            yield SocketHarness(nursery, server, listener, conditions)
    finally:
        server.open_plane = former


async def _serve(
    server: SocketServer, listener: SimListener, *, task_status: trio.TaskStatus[None]
) -> None:
    path = server.path
    door = FrontDoor({path: server.serve_websocket}, _refuse, requests={path: server.serve_http})
    async with server.serving():
        await door.serve([listener], task_status=task_status)


async def _refuse(stream: HttpStream) -> None:
    await send_response(stream, _NOT_FOUND, START)
