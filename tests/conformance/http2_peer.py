"""A client of HTTP/2 on one connection, without TLS: h2 over a raw socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import trio

from tests.conformance.http_peer import PATIENCE
from tests.socketio.polls import Answer

_FRAME = 16_384  # bytes (RFC 9113 §4.2)


@dataclass
class _Exchange:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False


class Http2Peer:
    """Several requests at a time (RFC 9113, with prior knowledge: §3.3)."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._http = h2.connection.H2Connection(config)
        self._http.initiate_connection()
        self._exchanges: dict[int, _Exchange] = {}

    async def send(self, method: str, target: str, body: bytes = b"") -> int:
        """Send a request; :meth:`answer` takes its number.

        :param body: less than the 65,535 bytes that one may send unasked (RFC 9113 §6.9.2).
        """
        number: int = self._http.get_next_available_stream_id()
        self._exchanges[number] = _Exchange()
        fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "server.test"),
            (":path", target),
        ]
        self._http.send_headers(number, fields, end_stream=not body)
        for start in range(0, len(body), _FRAME):
            part = body[start : start + _FRAME]
            self._http.send_data(number, part, end_stream=start + _FRAME >= len(body))
        await self._flush()
        return number

    async def cancel(self, number: int) -> None:
        """Take a request back."""
        self._http.reset_stream(number)
        await self._flush()

    async def answer(self, number: int) -> Answer:
        """Return the answer to a request."""
        exchange = self._exchanges[number]
        with trio.fail_after(PATIENCE):
            while not exchange.complete:
                await self._pump()
        return Answer(exchange.status, exchange.body, exchange.headers)

    async def request(self, method: str, target: str, body: bytes = b"") -> Answer:
        return await self.answer(await self.send(method, target, body))

    async def _flush(self) -> None:
        await self._stream.send_all(self._http.data_to_send())

    async def _pump(self) -> None:
        data = await self._stream.receive_some(65_536)
        assert data, "the connection has ended"
        for event in self._http.receive_data(bytes(data)):
            match event:
                case h2.events.ResponseReceived():
                    headers = dict[Any, Any](event.headers or [])
                    exchange = self._exchanges[event.stream_id or 0]
                    exchange.status = int(headers.pop(":status"))
                    exchange.headers = headers
                case h2.events.DataReceived():
                    exchange = self._exchanges[event.stream_id or 0]
                    exchange.body += event.data or b""
                    self._http.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id or 0
                    )
                case h2.events.StreamEnded():
                    self._exchanges[event.stream_id or 0].complete = True
        await self._flush()
