"""A client of HTTP/1.1 on one connection: h11 over a raw socket, and nothing of ours.

It says exactly what a test tells it to, right or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import h11
import trio

from tests.socketio.polls import Answer

PATIENCE = 5.0
"""Seconds after which an answer that does not come fails the test."""


class HttpPeer:
    """One connection, which is kept alive for as long as the server lets it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._connection = h11.Connection(h11.CLIENT)

    @property
    def reusable(self) -> bool:
        """Whether the server takes another request on this connection."""
        return self._connection.our_state is h11.IDLE

    async def request(
        self,
        method: str,
        target: str,
        body: bytes | str = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Send a request and return its answer."""
        await self.send(method, target, body, headers)
        return await self.answer()

    async def send(
        self,
        method: str,
        target: str,
        body: bytes | str = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send a request; :meth:`answer` waits for what comes."""
        if method in {"GET", "HEAD"}:
            await self.begin(method, target, headers)
            await self.rest()
            return
        data = body.encode() if isinstance(body, str) else body
        await self.begin(method, target, [("Content-Length", str(len(data))), *headers])
        await self.rest(data)

    async def begin(self, method: str, target: str, headers: Sequence[tuple[str, str]]) -> None:
        """Send a request's head."""
        request = h11.Request(
            method=method, target=target, headers=[("Host", "server.test"), *headers]
        )
        await self._say(self._connection.send(request))

    async def part(self, data: bytes) -> None:
        """Send a part of its body."""
        await self._say(self._connection.send(h11.Data(data=data)))

    async def rest(self, data: bytes = b"") -> None:
        """Send the end of its body."""
        parts = [self._connection.send(h11.Data(data=data))] if data else []
        await self._say(b"".join([*filter(None, parts), self._end()]))

    def _end(self) -> bytes:
        return self._connection.send(h11.EndOfMessage()) or b""

    async def _say(self, data: bytes | None) -> None:
        # Where the server has closed, what it has said before can still be read.
        with suppress(trio.BrokenResourceError):
            await self.stream.send_all(data or b"")

    async def answer(self, patience: float = PATIENCE) -> Answer:
        """Return the next answer.

        :raises AssertionError: the connection ends first.
        :raises trio.TooSlowError: it does not come.
        """
        status = 0
        headers: dict[str, str] = {}
        body = b""
        with trio.fail_after(patience):
            while True:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    self._connection.receive_data(bytes(await self._receive()))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    assert isinstance(event, h11.InformationalResponse), event
        if self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE:
            self._connection.start_next_cycle()
        return Answer(status, body, headers)

    async def _receive(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(65_536))
        except trio.BrokenResourceError:
            return b""

    async def aclose(self) -> None:
        await self.stream.aclose()
