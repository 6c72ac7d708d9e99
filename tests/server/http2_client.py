"""A client of HTTP/2 that says what it is told to, and notes all that comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import trio

FRAME = 16_384


@dataclass
class Answer:
    """What has come on one stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.ended or self.reset is not None


class Http2Client:
    """One connection, with prior knowledge (RFC 9113 §3.3).

    :param taking: whether what comes is acknowledged, so that the windows stay open.
    :param eager: whether it is in pieces of 4 KiB, and in frames as large as can be.
    """

    def __init__(
        self, stream: trio.SocketStream, *, taking: bool = True, eager: bool = False
    ) -> None:
        self.stream = stream
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.http = h2.connection.H2Connection(config)
        self.taking = taking
        self.eager = eager
        self.answers: dict[int, Answer] = {}
        self.goaways: list[int] = []
        self.closed = False
        self._news = trio.lowlevel.ParkingLot()
        self._sending = trio.Lock()

    async def ask(
        self, method: str, path: str | bytes, *fields: tuple[str, str], end: bool = True
    ) -> int:
        """Send the head of a request; return its number."""
        return await self.ask_as(
            (":method", method),
            (":scheme", "http"),
            (":authority", "here"),
            (":path", path),
            *fields,
            end=end,
        )

    async def ask_as(self, *fields: tuple[Any, Any], end: bool = True) -> int:
        """The same with all fields given."""
        number = self.http.get_next_available_stream_id()
        self.answers[number] = Answer()
        self.http.send_headers(number, fields, end_stream=end)
        await self.flush()
        return number

    async def websocket(self, path: str, *fields: tuple[str, str]) -> int:
        """Ask for a WebSocket (RFC 8441), and wait for the answer's head."""
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")]
        head += [(":path", path), (":authority", "here"), ("sec-websocket-version", "13")]
        number = await self.ask_as(*head, *fields, end=False)
        await self.until(lambda: self.answers[number].status > 0)
        return number

    async def send(self, number: int, data: bytes, *, end: bool = False, size: int = FRAME) -> int:
        """Send data in frames of a size, as windows allow; return how much went out.

        Ends early where the stream was reset.
        """
        answer, sent = self.answers[number], 0
        while sent < len(data):
            await self.until(lambda: answer.reset is not None or self._room(number) > 0)
            if answer.reset is not None or self.closed:
                break
            part = data[sent : sent + min(size, self._room(number))]
            sent += len(part)
            self.http.send_data(number, part, end_stream=end and sent == len(data))
            await self.flush()
        return sent

    def _room(self, number: int) -> int:
        return self.http.local_flow_control_window(number)

    async def reset(self, number: int) -> None:
        """Take a request back, unless the server has said goodbye."""
        if self.goaways:
            return
        self.http.reset_stream(number, 8)
        self.answers[number].reset = 8
        await self.flush()

    async def answer(self, number: int) -> Answer:
        """Wait until an answer is complete, or was given up."""
        await self.until(lambda: self.answers[number].over)
        return self.answers[number]

    async def request(self, method: str, path: str) -> Answer:
        return await self.answer(await self.ask(method, path))

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until something is so, or the connection has ended."""
        with trio.fail_after(1_000):
            while not happened() and not self.closed:
                await self._news.park()

    async def flush(self) -> None:
        await self.send_raw(self.http.data_to_send())

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that the client's own state knows nothing of."""
        async with self._sending:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.stream.send_all(data)

    async def read(self) -> None:
        """Read until the connection ends."""
        try:
            while data := await self.stream.receive_some(65_536):
                for event in self.http.receive_data(bytes(data)):
                    self._note(event)
                await self.flush()
                self._news.unpark_all()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self.closed = True
        self._news.unpark_all()

    def _open_windows(self, number: int, size: int) -> None:
        for start in range(0, size, 4_096):
            piece = min(4_096, size - start)
            self.http.increment_flow_control_window(piece)
            with suppress(h2.exceptions.StreamClosedError):
                self.http.increment_flow_control_window(piece, number)

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ConnectionTerminated():
                self.goaways.append(int(event.error_code or 0))
            case h2.events.ResponseReceived(stream_id=int(number)):
                headers = dict[Any, Any](event.headers or [])
                self.answers[number].status = int(headers.pop(":status"))
                self.answers[number].headers = headers
            case h2.events.DataReceived(stream_id=int(number)):
                self.answers[number].body += event.data or b""
                if self.eager:
                    self._open_windows(number, event.flow_controlled_length or 0)
                elif self.taking:
                    self.http.acknowledge_received_data(event.flow_controlled_length or 0, number)
            case h2.events.StreamEnded(stream_id=int(number)):
                self.answers[number].ended = True
            case h2.events.StreamReset(stream_id=int(number)) if event.remote_reset:
                self.answers[number].reset = int(event.error_code or 0)


@asynccontextmanager
async def http2(
    stream: trio.SocketStream, *, taking: bool = True, eager: bool = False
) -> AsyncIterator[Http2Client]:
    """Speak HTTP/2 on a stream."""
    client = Http2Client(stream, taking=taking, eager=eager)
    client.http.initiate_connection()
    if eager:
        client.http.update_settings({h2.settings.SettingCodes.MAX_FRAME_SIZE: 1_000_000})
    await client.flush()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.read)
        await client.until(lambda: bool(client.http.remote_settings.enable_connect_protocol))
        yield client
        nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(stream)
