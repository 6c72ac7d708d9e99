"""A client's Engine.IO long-polling: a GET waits for packets, POSTs send them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

import msgspec
import trio

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers.http import HttpConnection
from gbs_actor.testing.peers.messages import PeerRefused
from gbs_actor.testing.peers.transport import Dial, TransportClosed

_SEPARATOR: Final = "\x1e"
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_IDLE: Final = 60.0  # seconds; the server closes a connection somewhat later


class PollingTransport:
    """An open session of Engine.IO over long-polling; see :meth:`open`.

    :param dial: opens a connection: one for the polls, one for what is sent.
    """

    def __init__(self, dial: Dial, resource: str, headers: Mapping[str, str]) -> None:
        self._dial = dial
        self._resource = resource
        self._headers = headers
        self._polls: HttpConnection | None = None
        self._posts: HttpConnection | None = None
        self._posting = trio.Lock()
        self._first: list[str | bytes] = []
        self._closed: TransportClosed | None = None
        self.sid = ""
        """The id of the session."""

    @classmethod
    async def open(cls, dial: Dial, path: str, *, headers: Mapping[str, str]) -> Self:
        """Open a session.

        :raises PeerRefused: the server answers with another status than 200, or the stream ends.
        """
        transport = cls(dial, f"{path}?EIO=4&transport=polling", headers)
        try:
            transport._first = await transport._poll()
        except TransportClosed as closed:
            raise PeerRefused(closed.code, closed.reason) from None
        opened = transport._first[0]
        assert isinstance(opened, str)
        transport.sid = msgspec.json.decode(opened[1:])["sid"]
        transport._resource += f"&sid={transport.sid}"
        return transport

    @property
    def stream(self) -> SimStream:
        """The connection of the polls."""
        assert self._polls is not None  # the handshake was a poll
        return self._polls.stream

    @property
    def has_first(self) -> bool:
        """Whether what opened the session has not been received yet."""
        return bool(self._first)

    async def send(self, *messages: str | bytes) -> None:
        """See :class:`Transport`."""
        packets = (m if isinstance(m, str) else f"b{b64encode(m).decode()}" for m in messages)
        body = _SEPARATOR.join(packets).encode()
        async with self._posting:
            if self._closed is not None:
                raise self._closed
            if self._posts is None or not self._posts.reusable(_IDLE):
                self._posts = await self._connect()
            await self._exchange(
                self._posts, "POST", {"Content-Type": "text/plain;charset=UTF-8"}, body
            )

    async def receive(self) -> list[str | bytes]:
        """See :class:`Transport`."""
        if self._first:
            first, self._first = self._first, []
            return first
        return await self._poll()

    async def aclose(self) -> None:
        """See :class:`Transport`."""
        if self._closed is None:
            await self.send("1")

    def close_now(self) -> None:
        """See :class:`Transport`."""
        self._end(TransportClosed(None, "closed on this side"))

    async def _poll(self) -> list[str | bytes]:
        if self._closed is not None:
            raise self._closed
        if self._polls is None or not self._polls.reusable(_IDLE):
            self._polls = await self._connect()
        payload = await self._exchange(self._polls, "GET")
        return [
            b64decode(packet[1:]) if packet.startswith("b") else packet
            for packet in payload.decode().split(_SEPARATOR)
        ]

    async def _connect(self) -> HttpConnection:
        """Open another connection; where there is none, the session has ended."""
        try:
            return HttpConnection(await self._dial())
        except OSError as error:
            closed = TransportClosed(None, str(error))
            self._end(closed)
            raise closed from None

    async def _exchange(
        self,
        connection: HttpConnection,
        method: str,
        headers: Mapping[str, str] = _NONE,
        body: bytes = b"",
    ) -> bytes:
        """Return the body of a response. With another status than 200 the session has ended."""
        try:
            response = await connection.request(
                method, self._resource, headers={**self._headers, **headers}, body=body
            )
        except TransportClosed as closed:
            self._end(closed)
            raise
        except trio.Cancelled:
            self.close_now()
            raise
        if response.status == 200:
            return response.body
        refused = TransportClosed(response.status, response.body.decode())
        self._end(refused)
        raise refused

    def _end(self, closed: TransportClosed) -> None:
        if self._closed is None:
            self._closed = closed
        for connection in (self._polls, self._posts):
            if connection is not None:
                connection.stream.socket.close()
