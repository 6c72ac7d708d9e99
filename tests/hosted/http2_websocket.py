"""A WebSocket in a stream of HTTP/2 (RFC 8441), over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

from tests.e2e.server_process import ServerProcess


class Http2WebSocket:
    """Text messages; one task may send while another receives."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._http = h2.connection.H2Connection(config)
        self._websocket = Connection(ConnectionType.CLIENT)
        self._number = 0
        self._status = ""
        self._begun = ""
        self._messages: list[str] = []
        self._sending = trio.Lock()

    async def open(self, target: str) -> None:
        """Ask for it, once the server has said that one may."""
        self._http.initiate_connection()
        await self._flush()
        while not self._http.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL):
            await self._pump()
        self._number = self._http.get_next_available_stream_id()
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", target),
            (":authority", "localhost"),
            ("sec-websocket-version", "13"),
        ]
        self._http.send_headers(self._number, fields)
        await self._flush()
        while not self._status:
            await self._pump()
        assert self._status == "200"

    async def send_message(self, text: str) -> None:
        """Send a text; a short one, so that it needs no flow control."""
        await self._send(self._websocket.send(TextMessage(text)))

    async def get_message(self) -> str:
        """Return the next text."""
        while not self._messages:
            await self._pump()
        return self._messages.pop(0)

    async def _send(self, data: bytes) -> None:
        self._http.send_data(self._number, data)
        await self._flush()

    async def _flush(self) -> None:
        async with self._sending:
            await self._stream.send_all(self._http.data_to_send())

    async def _pump(self) -> None:
        data = await self._stream.receive_some()
        assert data, "the connection has ended"
        for event in self._http.receive_data(bytes(data)):
            if isinstance(event, h2.events.ResponseReceived):
                self._status = dict[Any, Any](event.headers or [])[":status"]
            elif isinstance(event, h2.events.DataReceived):
                assert event.flow_controlled_length is not None
                self._http.acknowledge_received_data(event.flow_controlled_length, self._number)
                self._websocket.receive_data(event.data)
                for received in self._websocket.events():
                    await self._take(received)
        await self._flush()

    async def _take(self, received: object) -> None:
        match received:
            case TextMessage():
                self._begun += received.data
                if received.message_finished:
                    self._messages.append(self._begun)
                    self._begun = ""
            case Ping():
                await self._send(self._websocket.send(received.response()))
            case CloseConnection():
                raise AssertionError(f"closed: {received}")


@asynccontextmanager
async def http2_websocket(
    server: ServerProcess, target: str, context: SSLContext
) -> AsyncIterator[Http2WebSocket]:
    """A WebSocket for the time of a block.

    :param context: has to offer ``h2`` (ALPN).
    """
    stream = await trio.open_ssl_over_tcp_stream(
        server.host, server.port, ssl_context=context, https_compatible=True
    )
    async with stream:
        await stream.do_handshake()
        assert stream.selected_alpn_protocol() == "h2"
        websocket = Http2WebSocket(stream)
        await websocket.open(target)
        yield websocket
