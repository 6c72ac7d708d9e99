"""Clients of Socket.IO servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import trio

from gbs_actor.testing.peers.conversation import Conversation, OnMessage
from gbs_actor.testing.peers.messages import Json, PeerRefused, Received
from gbs_actor.testing.peers.polling import PollingTransport
from gbs_actor.testing.peers.session import SocketIOSession
from gbs_actor.testing.peers.transport import Dial, Transport
from gbs_actor.testing.peers.upgrading import UpgradingTransport
from gbs_actor.testing.peers.websocket import WebSocketTransport

Carrier = Literal["websocket", "polling", "upgraded"]
"""The transport of Engine.IO; ``upgraded``: long-polling, and a WebSocket once that is open."""
SOCKETIO_PATH: Final = "/socket.io/"


async def open_transport(
    nursery: trio.Nursery, dial: Dial, carrier: Carrier, *, path: str, headers: Mapping[str, str]
) -> Transport:
    """Open a session of Engine.IO.

    :param nursery: runs what opens a WebSocket meanwhile.
    :raises PeerRefused: the server refuses it, or the connection breaks.
    :raises OSError: there is no server.
    """
    if carrier == "polling":
        return await PollingTransport.open(dial, path, headers=headers)
    if carrier == "upgraded":
        return await UpgradingTransport.open(nursery, dial, path, headers=headers)
    resource = f"{path}?EIO=4&transport=websocket"
    return await WebSocketTransport.open(await dial(), resource, headers=headers)


class SocketConversation(Conversation):
    """One client in one namespace, whose session can be recovered perhaps."""

    def __init__(self, nursery: trio.Nursery, on_message: OnMessage | None) -> None:
        super().__init__(nursery, on_message)
        self.sid: str | None = None
        """The id of the socket."""
        self.pid: str | None = None
        """The secret with which its session is recovered, if the server has given one."""
        self.offset: str | None = None
        """That of the last event, from which it goes on."""
        self.recovered = False
        """Whether the last reconnection went on with the session."""
        self.disconnected = trio.Event()
        """Set once the server has ended the namespace; another one after a reconnection."""

    async def _enter(
        self,
        transport: Transport,
        namespace: str,
        auth: Mapping[str, Json] | None,
        *,
        recover: bool,
    ) -> None:
        """Enter a namespace over a new transport.

        :raises PeerRefused: the server refuses it.
        """
        former = (self.sid, self.pid)
        asked = recover and self.pid is not None
        if asked:
            auth = {**(auth or {}), "pid": self.pid}
            if self.offset is not None:
                auth["offset"] = self.offset
        self.recovered = False
        self.disconnected = trio.Event()
        match await self._converse(transport, SocketIOSession(namespace, auth)):
            case Received(kind="connected", arguments=(answer,)):
                self.sid, self.pid = answer["sid"], answer.get("pid")
                self.recovered = asked and (self.sid, self.pid) == former
                if not self.recovered:
                    self.offset = None
            case Received(kind="refused", arguments=(error,)):
                transport.close_now()
                data = error.get("data")
                code = data.get("code") if isinstance(data, dict) else None
                raise PeerRefused(code, error["message"])
            case other:
                raise AssertionError(f"the server answers CONNECT with {other}")

    def _take(self, received: Received) -> None:
        if received.offset is not None:
            self.offset = received.offset
        if received.kind == "disconnected":
            self.disconnected.set()
        super()._take(received)


class SocketPeer(SocketConversation):
    """One client in one namespace of any server; made by :meth:`SocketHarness.connect`.

    Arguments may have ``bytes`` in them.

    :param dial: opens a connection.
    :param path: the server's path, e.g. ``/socket.io/``.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        dial: Dial,
        *,
        namespace: str,
        path: str,
        carrier: Carrier,
        auth: Mapping[str, Json] | None,
        headers: Mapping[str, str],
        on_message: OnMessage | None = None,
    ) -> None:
        super().__init__(nursery, on_message)
        self.namespace = namespace
        self._dial = dial
        self._path = path
        self._carrier = carrier
        self._auth = auth
        self._headers = headers

    async def call(self, name: str, *arguments: Json) -> tuple[Json, ...]:
        """Send an event, and return the arguments of its acknowledgement.

        :raises PeerClosed: the connection ended before.
        """
        return await self._ask(name, *arguments)

    async def acknowledge(self, ack_id: int, *arguments: Json) -> None:
        """Answer an event of the server, whose :attr:`Received.ack_id` is given.

        :raises PeerClosed: the connection has ended.
        """
        transport, session = self._open()
        assert isinstance(session, SocketIOSession)
        await self._send(transport, session.acknowledge(ack_id, arguments))

    async def disconnect(self) -> None:
        """Leave the namespace; the connection stays.

        :raises PeerClosed: the connection has ended.
        """
        transport, session = self._open()
        assert isinstance(session, SocketIOSession)
        await self._send(transport, session.disconnect())

    async def connect(self, *, recover: bool = True) -> None:
        """Connect, again perhaps: over a new connection; one that is still open is cut.

        :param recover: whether to ask for the former session, if it can be recovered.
        :raises PeerRefused: by a handler, or as there is no such namespace.
        """
        transport = await open_transport(
            self._nursery, self._dial, self._carrier, path=self._path, headers=self._headers
        )
        await self._enter(transport, self.namespace, self._auth, recover=recover)
