"""A client of a line-up server, by any of its realtime protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlencode

import trio

from gbs_actor.testing.peers.conversation import OnMessage
from gbs_actor.testing.peers.messages import Json, PeerClosed, Reply
from gbs_actor.testing.peers.session import PlainSession
from gbs_actor.testing.peers.socketio import (
    SOCKETIO_PATH,
    Carrier,
    SocketConversation,
    open_transport,
)
from gbs_actor.testing.peers.transport import Dial
from gbs_actor.testing.peers.websocket import WebSocketTransport

PeerProtocol = Literal["socketio", "polling", "upgraded", "plain"]
"""``socketio``, ``polling``, ``upgraded``: Socket.IO over a WebSocket, over long-polling, and over
long-polling until a WebSocket is open, as stock clients do by default. ``plain``: no Socket.IO.
"""
NAMESPACE: Final = "/gbs-lineup"
PLAIN_PATH: Final = "/ws/retreats/"
_CARRIERS: Final[Mapping[PeerProtocol, Carrier]] = MappingProxyType(
    {"socketio": "websocket", "polling": "polling", "upgraded": "upgraded"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOptions:
    """How a peer connects."""

    protocol: PeerProtocol
    retreat: str | None
    """Slug of the retreat that a plain WebSocket enters."""
    token: str | None
    """``None``: none."""
    cookie: bool = False
    """Whether the token goes into the cookie ``accessToken``."""
    batch: bool = False
    """Whether to ask for the batch form of updates."""
    recovery: bool = False
    """Whether to ask for a session that can be recovered."""
    presence: bool = True
    """Whether to be sent who is there each time that changes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the handshake, in addition."""


class Peer(SocketConversation):
    """One client; made by :meth:`LineupServer.peer`. It shares no code with the server.

    :param dial: opens a connection.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        dial: Dial,
        options: PeerOptions,
        on_message: OnMessage | None = None,
    ) -> None:
        super().__init__(nursery, on_message)
        self._dial = dial
        self._options = options
        self._token = options.token

    @property
    def protocol(self) -> PeerProtocol:
        """What it speaks."""
        return self._options.protocol

    async def call(self, name: str, data: Json = None) -> Reply:
        """Send an event and return its answer, whether it was carried out or not.

        :raises PeerClosed: the connection ended before the answer.
        """
        answer = await self._ask(name, data)
        return Reply(answer[0])

    async def reply(self, ack_id: int) -> Reply:
        """Return the answer to an event that :meth:`begin` sent, and wait for it if need be.

        :param ack_id: what :meth:`begin` returned.
        :raises PeerClosed: the connection ended before the answer.
        """
        await trio.lowlevel.checkpoint()
        while True:
            for received in reversed(self.received):
                if received.kind == "reply" and received.ack_id == ack_id:
                    return Reply(received.payload)
            if self.closed.is_set():
                raise PeerClosed(f"the connection ended before the answer: {self._ending()}")
            await self._news.park()

    async def ask(
        self, name: str, data: Json = None, *, on_reply: Callable[[Reply | None], None]
    ) -> None:
        """Send an event without waiting for its answer.

        :param on_reply: called with the answer, in the order of arrival, before anything that
            comes behind it; ``None``: the connection ended before. Must not block.
        :raises PeerClosed: the connection has ended; ``on_reply`` was, or will be, called.
        """

        def reply(arguments: tuple[Json, ...] | None) -> None:
            on_reply(None if arguments is None else Reply(arguments[0]))

        await self.begin(name, data, on_reply=reply)

    async def join(self, retreat: str | Mapping[str, Json]) -> Reply:
        """Join a retreat's room.

        :param retreat: its slug, or the argument of ``join-retreat``, with ``since`` and ``epoch``.
        :raises AssertionError: it is refused.
        """
        reply = await self.call("join-retreat", retreat)
        if not reply.ok:
            raise AssertionError(f"the join of {retreat} is refused: {reply}")
        return reply

    async def authenticate(self, token: str) -> Reply:
        """Go on with a new token of the same user, now and after reconnections."""
        reply = await self.call("authenticate", {"token": token})
        if reply.ok:
            self._token = token
        return reply

    async def connect(self) -> None:
        """Connect for the first time; see :meth:`reconnect`."""
        await self._connect(recover=False)

    async def reconnect(self, *, token: str | None = None, recover: bool = True) -> None:
        """Connect again, over a new connection; one that is still open is cut.

        With Socket.IO, the session is recovered if the peer was made with ``recovery=True`` and
        has received an event. If :attr:`recovered` is false afterwards, it is in no room.

        :param token: instead of the present one.
        :param recover: whether to ask for the former session.
        :raises PeerRefused: the server does not let it in.
        :raises OSError: nothing listens, as after :meth:`LineupServer.kill`.
        """
        if token is not None:
            self._token = token
        await self._connect(recover=recover)

    async def _connect(self, *, recover: bool) -> None:
        options = self._options
        headers = dict(options.headers)
        if options.cookie and self._token is not None:
            headers["Cookie"] = f"accessToken={self._token}"
        elif options.protocol == "plain" and self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if options.protocol == "plain":
            query = [("updates", "batch")] if options.batch else []
            query += [] if options.presence else [("presence", "false")]
            resource = f"{PLAIN_PATH}{options.retreat}?{urlencode(query)}".rstrip("?")
            plain = await WebSocketTransport.open(await self._dial(), resource, headers=headers)
            await self._converse(plain, PlainSession())
            return
        transport = await open_transport(
            self._nursery,
            self._dial,
            _CARRIERS[options.protocol],
            path=SOCKETIO_PATH,
            headers=headers,
        )
        await self._enter(transport, NAMESPACE, self._auth(), recover=recover)

    def _auth(self) -> dict[str, Json]:
        options = self._options
        auth: dict[str, Json] = {}
        if self._token is not None and not options.cookie:
            auth["token"] = self._token
        if options.batch:
            auth["updates"] = "batch"
        if options.recovery:
            auth["recovery"] = True
        if not options.presence:
            auth["presence"] = False
        return auth
