"""A raw connection that may break every rule: the frames are made here, byte by byte."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.e2e.server_process import ServerProcess

PATIENCE = 10.0
"""Seconds after which something that should have come is missing."""

PATH = "/socket.io/?EIO=4&transport=websocket"
NAMESPACE = "/gbs-lineup"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Closed(Exception):
    """The server ended the connection.

    :param code: of its close frame; ``None`` without one.
    """

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


def frame(
    opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Return one frame (RFC 6455 §5.2), well-formed or not."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, mask_bit | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first, mask_bit | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = mask * (len(payload) // 4 + 1)
    body = (int.from_bytes(payload) ^ int.from_bytes(repeated[: len(payload)])).to_bytes(
        len(payload)
    )
    return head + mask + body


def upgrade_request(
    path: str = PATH, *, key: str | None = None, version: str = "13", extra: str = ""
) -> bytes:
    """Return the head of a WebSocket handshake."""
    key = base64.b64encode(os.urandom(16)).decode() if key is None else key
    return (
        f"GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n{extra}\r\n"
    ).encode()


@dataclass
class Wire:
    """One TCP connection to the server."""

    stream: trio.SocketStream
    _buffer: bytearray = field(default_factory=bytearray)
    _next_ack: int = 0

    async def send(self, data: bytes) -> None:
        """Send bytes; that the server closed meanwhile is seen when reading."""
        try:
            with trio.fail_after(PATIENCE):
                await self.stream.send_all(data)
        except trio.BrokenResourceError:
            return

    async def text(self, packet: str) -> None:
        await self.send(frame(TEXT, packet.encode()))

    def reset(self) -> None:
        """End the connection by a RST (SO_LINGER of 0 seconds)."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.socket.close()

    async def _more(self) -> None:
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            data = b""
        if not data:
            raise Closed(None)
        self._buffer += data

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def head(self) -> str:
        """Read the head of an HTTP answer."""
        with trio.fail_after(PATIENCE):
            while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                await self._more()
            return (await self._take(end + 4)).decode("latin-1")

    async def status(self) -> int:
        """Read the head of an HTTP answer; return its status."""
        return int((await self.head()).split(" ", 2)[1])

    async def rest(self) -> bytes:
        """Read until the server closes."""
        with trio.fail_after(PATIENCE):
            try:
                while True:
                    await self._more()
            except Closed:
                return bytes(self._buffer)

    async def next_frame(self) -> tuple[int, bytes]:
        """Read one frame, which must be well-formed, whole and unmasked.

        :raises Closed: it was a close frame, or the stream ended.
        """
        with trio.fail_after(PATIENCE):
            first, second = await self._take(2)
            assert first & 0xF0 == 0x80, "a fragment, or reserved bits"
            assert second < 0x80, "a masked frame"
            size = second
            if size == 126:
                (size,) = struct.unpack("!H", await self._take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self._take(8))
            payload = await self._take(size)
        opcode = first & 0x0F
        if opcode == CLOSE:
            raise Closed(struct.unpack("!H", payload[:2])[0] if payload else 1005)
        return opcode, payload

    async def packet(self) -> str:
        """Read the next text frame."""
        opcode, payload = await self.next_frame()
        assert opcode == TEXT, opcode
        return payload.decode()

    async def close_code(self) -> int | None:
        """Read until the connection is closed; return the close frame's code."""
        try:
            with trio.fail_after(PATIENCE):
                while True:
                    await self.next_frame()
        except Closed as closed:
            return closed.code

    async def upgrade(self) -> None:
        await self.send(upgrade_request())
        assert await self.status() == 101

    async def open(self) -> None:
        """Open an Engine.IO session."""
        await self.upgrade()
        assert (await self.packet()).startswith("0{")

    async def connect(self, token: str) -> None:
        """Open a session, and the line-up's namespace on it."""
        await self.open()
        await self.text(f"40{NAMESPACE}," + json.dumps({"token": token}))
        answer = await self.packet()
        assert answer.startswith(f'40{NAMESPACE},{{"sid"'), answer

    async def refusal(self, connect_payload: str) -> dict[str, Any]:
        """Return the CONNECT_ERROR that a CONNECT payload gets."""
        await self.open()
        await self.text(f"40{NAMESPACE},{connect_payload}")
        answer = await self.packet()
        head = f"44{NAMESPACE},"
        assert answer.startswith(head), answer
        refusal: dict[str, Any] = json.loads(answer[len(head) :])
        return refusal

    async def ask(self, event_json: str) -> dict[str, Any]:
        """Send an event, given as the JSON of its array; return its acknowledgement."""
        ack_id = self._next_ack
        self._next_ack += 1
        await self.text(f"42{NAMESPACE},{ack_id}{event_json}")
        head = f"43{NAMESPACE},{ack_id}"
        while True:
            packet = await self.packet()
            if packet.startswith(f"43{NAMESPACE},"):
                assert packet.startswith(head), f"{packet[:80]} instead of the answer {ack_id}"
                (answer,) = json.loads(packet[len(head) :])
                assert isinstance(answer, dict)
                return answer

    async def join(self, slug: str) -> dict[str, Any]:
        answer = await self.ask(json.dumps(["join-retreat", slug]))
        assert answer["status"] == "OK", answer
        return answer


@asynccontextmanager
async def wire_to(server: ServerProcess, **options: int) -> AsyncIterator[Wire]:
    """A raw connection for the time of a block.

    :param options: ``receive_buffer``: SO_RCVBUF in bytes, set before connecting.
    """
    raw = trio.socket.socket()
    for value in options.values():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, value)
    with trio.fail_after(PATIENCE):
        await raw.connect((server.host, server.port))
    stream = trio.SocketStream(raw)
    try:
        yield Wire(stream)
    finally:
        await trio.aclose_forcefully(stream)
