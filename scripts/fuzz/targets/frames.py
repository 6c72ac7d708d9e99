"""WebSocket messages as any client may send them: fragmented, compressed, in any pieces.

Good ones are echoed, in order and once; whatever follows that breaks RFC 6455 or RFC 7692 ends
the connection with the code for it. What the server sends is read by wsproto.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from typing import Final

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from wsproto.extensions import PerMessageDeflate

from gbs_actor.socketio import EngineServer, ServerOptions, Session
from gbs_actor.socketio.net.request import head_length, parse_request
from scripts.fuzz.choices import Choices
from scripts.fuzz.running import Target
from scripts.fuzz.simulation import simulate
from tests.socketio.frames import BINARY, CLOSE, PING, PONG, TEXT, frame
from tests.socketio.peer import Close, Peer

_MAX_PAYLOAD: Final = 1_000
_PATH: Final = "/engine.io/"
_TAIL: Final = b"\x00\x00\xff\xff"
_SIZES: Final = (0, 1, 5, 124, 125, 126, 127, 500, 998, 999)
_BAD_CODES: Final = (1005, 1006, 999, 1004, 1015, 1016, 2999, 5000, 65_535, 0)


_BAD_FRAMES: Final[tuple[tuple[bytes, set[int]], ...]] = (
    (frame(TEXT, b"4", masked=False), {1002}),
    (frame(3, b""), {1002}),
    (frame(15, b""), {1002}),
    (frame(PING, b"", fin=False), {1002}),
    (frame(PONG, b"x" * 126), {1002}),
    (frame(PING, b"", rsv=4), {1002}),
    (frame(BINARY, b"", rsv=1), {1002}),
    (frame(BINARY, b"", rsv=2), {1002}),
    (frame(0, b""), {1002}),
    (frame(TEXT, b"4", fin=False) + frame(TEXT, b"4"), {1002}),
    (frame(TEXT, b"4", fin=False) + frame(CLOSE, b""), {1005, 1002}),  # if it may compress
    (frame(CLOSE, b"\x03"), {1002}),
    (frame(CLOSE, b"\x03\xe8\xff"), {1007}),
    (frame(TEXT, b"4\xff"), {1007}),
    (frame(TEXT, b"4\xed\xa0\x80"), {1007}),
    (frame(TEXT, b"4", fin=False) + frame(0, b"\xff"), {1007}),
    (frame(TEXT, b"x"), {1002}),
    (frame(TEXT, b"2"), {1002}),
    (frame(TEXT, b""), {1002}),
    (frame(BINARY, b"x" * (_MAX_PAYLOAD + 1)), {1009}),
    (frame(BINARY, b"x" * 70_000), {1009}),
    (frame(BINARY, b"x" * 600, fin=False) + frame(0, b"x" * 600), {1009}),
    (frame(TEXT, b"1"), {1000}),
    (frame(CLOSE, b"\x03\xe8"), {1000}),
    (frame(CLOSE, b"\x0b\xb8bye"), {3000}),
    (frame(CLOSE, b""), {1000, 1005}),
    *((frame(CLOSE, struct.pack("!H", code)), {1002}) for code in _BAD_CODES),
)
"""What ends a connection, with the codes that it may end with."""
_BAD_IF_COMPRESSED: Final = (
    (frame(BINARY, b"\xff\xff\xff", rsv=4), {1002}),
    (frame(BINARY, b"x", fin=False) + frame(0, b"", rsv=4), {1002}),
    (frame(BINARY, zlib.compress(b"x" * 1_000_000, wbits=-15), rsv=4), {1009}),
)


def check(choices: Choices) -> None:
    order = choices.below(256)
    simulate(_Exchange(choices).run, order)


class _Echo:
    """Records the messages of a session, and sends them back."""

    joined = True

    def __init__(self, session: Session, received: list[str | bytes]) -> None:
        self._session = session
        self._received = received

    def resume_events(self) -> None:
        """Do nothing."""

    def receive_text(self, text: str, start: int) -> None:
        self._received.append(text)
        self._session.send(text[start:])

    def receive_binary(self, payload: bytes) -> None:
        self._received.append(payload)
        self._session.send(payload)

    def lag_changed(self, lagging: bool) -> None:
        """Do nothing."""

    def ended(self, reason: str) -> None:
        """Do nothing."""

    async def run_disconnect_handlers(self) -> None:
        """Do nothing."""


class _Exchange:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._taken: list[str | bytes] = []
        options = ServerOptions(_PATH, max_payload=_MAX_PAYLOAD, deflate=not choices.chance(4))
        self._server = EngineServer(options, lambda session: _Echo(session, self._taken))
        self._offer = PerMessageDeflate() if choices.chance() else None
        self._sent: list[str | bytes] = []
        self._echoed: list[str | bytes] = []
        self._pings: list[bytes] = []
        self._close: Close | None = None

    async def run(self) -> None:
        choices = self._choices
        near, far = memory_stream_pair()
        peer = Peer(near)
        async with self._server.serving(), trio.open_nursery() as nursery:
            nursery.start_soon(self._serve, far)
            extensions = [] if self._offer is None else [self._offer]
            await peer.upgrade(f"{_PATH}?EIO=4&transport=websocket", extensions=extensions)
            nursery.start_soon(self._receive, peer)
            sent = b"".join(self._message() for _ in choices.times(8))
            end, codes = self._end()
            for piece in choices.split(sent + end, 6):
                with suppress(trio.BrokenResourceError):
                    await near.send_all(piece)
                if choices.chance():
                    await wait_all_tasks_blocked()
            await trio.sleep(30)
            await trio.aclose_forcefully(near)
            await trio.sleep(30)
            assert self._server.statistics().connections == 0
            nursery.cancel_scope.cancel()
        count = len(self._sent)
        assert self._taken[:count] == self._sent, "other messages"
        assert self._echoed[1 : count + 1] == self._sent, "other echoes"
        if codes:
            assert len(self._taken) == count, "too many messages"
            assert self._close is not None
            assert self._close.code in codes, f"{self._close.code} in place of {codes}"
        pings = iter(self._pings)
        assert all(pong in pings for pong in peer.pongs), "another pong"

    async def _serve(self, stream: trio.abc.HalfCloseableStream) -> None:
        head = b""
        while (length := head_length(head)) is None:
            head += await stream.receive_some()
        request = parse_request(head)
        assert request is not None
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._server.serve_websocket(stream, request, head[length:])

    async def _receive(self, peer: Peer) -> None:
        with suppress(trio.ClosedResourceError):
            while not isinstance(received := await peer.receive(), Close):
                assert isinstance(received, (str, bytes))
                if received != "2":
                    self._echoed.append(received)
            self._close = received

    @property
    def _compressed(self) -> bool:
        return self._offer is not None and self._offer.enabled()

    def _message(self) -> bytes:
        """Return a whole message in one frame or several, with pings in between."""
        choices = self._choices
        opcode = choices.pick((TEXT, BINARY))
        payload = choices.bytes(40) if opcode == BINARY else choices.text().encode()
        if choices.chance(4):
            payload = b"x" * choices.pick(_SIZES)
        if opcode == TEXT:
            payload = b"4" + payload
        self._sent.append(payload if opcode == BINARY else payload.decode())
        body = self._deflated(payload) if self._compressed and choices.chance() else payload
        # Compressed, ``websockets`` refuses some of just the largest size.
        if len(body) > _MAX_PAYLOAD or len(payload) == _MAX_PAYLOAD:
            body = payload
        deflate = body is not payload
        parts = choices.split(body, 5) or [b""]
        frames = []
        for number, part in enumerate(parts):
            frames.append(
                frame(
                    0 if number else opcode,
                    part,
                    fin=number == len(parts) - 1,
                    rsv=4 if deflate and number == 0 else 0,
                    length_bytes=choices.pick((0, 0, 0, 2, 8)),
                )
            )
            if choices.chance(4) and len(payload) < _MAX_PAYLOAD // 2:
                self._pings.append(choices.bytes(20))
                frames.append(frame(PING, self._pings[-1]))
        return b"".join(frames)

    def _deflated(self, payload: bytes) -> bytes:
        choices = self._choices
        compressor = zlib.compressobj(choices.pick((9, 1, 0)), wbits=-choices.pick((15, 9)))
        flush = zlib.Z_FULL_FLUSH if choices.chance(8) else zlib.Z_SYNC_FLUSH
        body = compressor.compress(payload) + compressor.flush(flush)
        return body.removesuffix(_TAIL)

    def _end(self) -> tuple[bytes, set[int]]:
        """Return what ends the connection, and the codes that the server may close it with.

        No codes: whatever it means, it must not cause a failure.
        """
        choices = self._choices
        if choices.chance(4):
            return choices.bytes(40) + frame(3, b""), set()
        bad = _BAD_FRAMES + (_BAD_IF_COMPRESSED if self._compressed else ())
        return choices.pick(bad)


TARGET = Target("frames", check, slice=50)
