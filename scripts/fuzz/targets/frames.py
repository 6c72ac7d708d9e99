"""WebSocket frames as any client may send them, with and without compression.

A model knows which messages they mean and how the connection has to end (RFC 6455, RFC 7692);
what the server sends back is read by wsproto.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.socketio import EngineServer, ServerOptions, Session
from scripts.fuzz import trio_cases
from scripts.fuzz.choices import Choices
from scripts.fuzz.client import PAIRS
from scripts.fuzz.target import Target
from scripts.fuzz.websocket_client import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    StreamLink,
    frame,
    request,
)
from scripts.fuzz.world import no_complaints

MAX_PAYLOAD: Final = 1_000
_PATH: Final = "/engine.io/"
_OFFERS: Final = (
    b"", b"permessage-deflate", b"permessage-deflate; client_max_window_bits",
    b"permessage-deflate; server_max_window_bits=10",
    b"permessage-deflate; client_max_window_bits=9",
    b"x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover",
)  # fmt: skip
_CODES: Final = (1000, 1001, 3000, 4999, 1005, 1006, 999, 1004, 1015, 1016, 2999, 5000, 65_535, 0)
_GOOD_CODES: Final = frozenset({1000, 1001, 3000, 4999})
_SIZES: Final = (0, 1, 5, 125, 126, 127, 500, 999, 1_000, 1_001, 5_000, 70_000, 1_000_000)
_NORMAL, _PROTOCOL, _INVALID, _TOO_BIG, _NO_CODE = 1000, 1002, 1007, 1009, 1005
_TAIL: Final = b"\x00\x00\xff\xff"


def check(data: bytes) -> None:
    choices = Choices(data)
    order = choices.byte()

    async def scenario() -> None:
        await _Exchange(choices).run()

    with no_complaints():
        trio_cases.run(scenario, order)


class _Echo:
    """Notes what it is told, and says it back."""

    joined = True
    backlogged = False

    def __init__(self, connection: Session, heard: list[str | bytes]) -> None:
        self._connection = connection
        self._heard = heard

    def receive_text(self, text: str, start: int) -> None:
        self._heard.append(text)
        self._connection.send(text[start:])

    def receive_binary(self, payload: bytes) -> None:
        self._heard.append(payload)
        self._connection.send(payload)

    def ended(self, reason: str) -> None:
        """Nothing is left to do."""

    async def run_disconnect_handlers(self) -> None:
        """Nothing is left to say."""


class _Meaning:
    """What the frames so far mean.

    :param compressed: whether compression was agreed on.
    """

    def __init__(self, *, compressed: bool) -> None:
        self.messages: list[str | bytes] = []
        self.pings: list[bytes] = []
        self.codes: set[int] = set()
        """How the connection may end: several, where more followed the first reason."""
        self.unsure = False
        """Whether nothing more is certain."""
        self._compressed = compressed
        self._opcode: int | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._inflate = False

    @property
    def open(self) -> bool:
        """Whether the connection has to go on."""
        return not self.codes and not self.unsure

    @property
    def in_message(self) -> bool:
        """Whether a message has begun."""
        return self._opcode is not None

    def end(self, code: int) -> None:
        """Note a reason to end."""
        self.codes.add(code)

    def _is_over(self) -> bool:
        if self.codes:
            self.codes |= {_PROTOCOL, _INVALID, _TOO_BIG}  # both may be read at once
        return bool(self.codes)

    def data(self, opcode: int, payload: bytes, *, fin: bool, inflate: bool) -> None:
        """Take a frame of a message: the first one, or with opcode 0 a further one."""
        if self._is_over():
            return
        if len(payload) > MAX_PAYLOAD - self._size:
            self.end(_TOO_BIG)  # already before it is decompressed
        if (opcode == 0) != self.in_message or (inflate and (opcode == 0 or not self._compressed)):
            self.end(_PROTOCOL)
            if inflate:
                self.end(_TOO_BIG)  # it may be decompressed before it is found to be wrong
        if self.codes:
            return
        if opcode:
            self._opcode, self._parts, self._inflate = opcode, [], inflate
        self._parts.append(payload)
        whole = self._whole(fin)
        if len(whole) > MAX_PAYLOAD:
            self.end(_TOO_BIG)
        elif len(whole) == MAX_PAYLOAD and self._inflate:
            self.unsure = True  # just as much as there may be counts as too much at times
        if self.codes:
            return
        self._size = len(whole)
        if fin:
            is_text = self._opcode == TEXT
            self._opcode = None
            self._size = 0
            self._deliver(whole, is_text)

    def _whole(self, fin: bool) -> bytes:
        joined = b"".join(self._parts)
        if not self._inflate:
            return joined
        inflater = zlib.decompressobj(wbits=-15)
        try:
            return inflater.decompress(joined + (_TAIL if fin else b""), MAX_PAYLOAD + 1)
        except zlib.error:
            self.end(_PROTOCOL)
            self.unsure = True  # it may have been too big before that
            return b""

    def _deliver(self, payload: bytes, is_text: bool) -> None:
        if not is_text:
            self.messages.append(payload)
            return
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self.end(_INVALID)
            return
        if text[:1] == "4":
            self.messages.append(text)
        elif text[:1] == "1":
            self.end(_NORMAL)
        elif text[:1] != "3":
            self.end(_PROTOCOL)

    def control(self, opcode: int, payload: bytes, *, fin: bool) -> None:
        """Take a ping, pong or close frame."""
        if opcode == PING:
            self.pings.append(payload)
        if self._is_over():
            if opcode == CLOSE:
                self._close(payload)
            return
        if len(payload) > MAX_PAYLOAD - self._size:
            self.unsure = True  # a control frame counts to the message around it
        if not fin or len(payload) > 125:
            self.end(_TOO_BIG if len(payload) > MAX_PAYLOAD else _PROTOCOL)
        elif opcode == CLOSE:
            self._close(payload)

    def _close(self, payload: bytes) -> None:
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            self.end(_INVALID)
            return
        code = int.from_bytes(payload[:2], "big")
        good = code in _GOOD_CODES if len(payload) > 1 else not payload
        if not good or self.in_message:
            self.end(_PROTOCOL)
        else:
            self.end(code or _NO_CODE)


class _Exchange:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._heard: list[str | bytes] = []
        options = ServerOptions(_PATH, max_payload=MAX_PAYLOAD, deflate=choices.flip(4) is False)
        self._server = EngineServer(options, lambda connection: _Echo(connection, self._heard))
        self._received: list[str | bytes] = []

    async def run(self) -> None:
        choices = self._choices
        offer = choices.pick(_OFFERS)
        more = b"Sec-WebSocket-Extensions: %b\r\n" % offer if offer else b""
        asked = request(f"{_PATH}?EIO=4&transport=websocket", more)
        pair = PAIRS[choices.pick(("memory", "sockets"))]
        async with self._server.serving(), trio.open_nursery() as nursery:
            link = StreamLink(self._server, nursery, asked, pair=pair, compressed=bool(offer))
            while link.status == 0:
                self._received.extend(await link.receive() or [])
            assert link.status == 101
            meaning = _Meaning(compressed=b"permessage-deflate" in link.head)
            nursery.start_soon(self._read, link)
            await self._talk(link, meaning)
            await trio.sleep(30)
            link.drop()
            await trio.sleep(30)
            assert self._server.statistics().connections == 0
            assert not self._server._channels
            nursery.cancel_scope.cancel()
        self._compare(link, meaning)

    async def _read(self, link: StreamLink) -> None:
        while (messages := await link.receive()) is not None:
            self._received.extend(message for message in messages if message != "2")

    async def _talk(self, link: StreamLink, meaning: _Meaning) -> None:
        choices = self._choices
        sent = b""
        while choices.left and len(sent) < 300_000:
            sent += self._frame(meaning)
        if not meaning.codes and not meaning.in_message and not meaning.unsure:
            sent += frame(TEXT, b"4the end")
            meaning.data(TEXT, b"4the end", fin=True, inflate=False)
            sent += frame(CLOSE, b"\x03\xe8")
            meaning.end(_NORMAL)
        for piece in choices.split(sent, 6):
            if not await link.send(piece):
                break
            if len(piece) % 2:
                await wait_all_tasks_blocked()

    def _frame(self, meaning: _Meaning) -> bytes:
        choices = self._choices
        match choices.below(12):
            case 0 | 1 | 2 | 3 | 4 | 5:
                return self._message(meaning)
            case 6 | 7 | 8:
                return self._control(meaning)
            case 9 if choices.flip(4):
                return self._nonsense(meaning)
            case _:
                return self._message(meaning)

    def _message(self, meaning: _Meaning) -> bytes:
        """Return a whole message, in one frame or several, with others in between."""
        choices = self._choices
        opcode = TEXT if choices.flip() else BINARY
        payload = self._payload(opcode)
        inflate = choices.flip() and (meaning._compressed or choices.flip(16))
        body = payload
        if inflate:
            body = self._deflated(payload)
        parts = choices.split(body, 5) if choices.flip() else [body]
        frames = []
        for number, part in enumerate(parts or [b""]):
            fin = number == max(len(parts), 1) - 1
            if choices.flip(64):
                fin = not fin
            rsv = 4 if inflate and number == 0 else 0
            kind = opcode if number == 0 else 0
            wide = choices.pick((0, 0, 0, 2, 8))
            frames.append(frame(kind, part, fin=fin, rsv=rsv, length_bytes=wide))
            meaning.data(kind, part, fin=fin, inflate=rsv != 0)
            if not fin and choices.flip(4):
                frames.append(self._control(meaning, close=False))
        return b"".join(frames)

    def _payload(self, opcode: int) -> bytes:
        choices = self._choices
        if choices.flip(4):
            size = choices.pick(_SIZES)
            return (b"4" if opcode == TEXT else b"") + b"x" * size
        if opcode == BINARY:
            return choices.take(40)
        text = "4" + choices.text()
        if choices.flip(32):
            return choices.pick((b"4\xff", b"x", b"3", b"1", b"", b"4\xed\xa0\x80", b"2"))
        return text.encode()

    def _deflated(self, payload: bytes) -> bytes:
        choices = self._choices
        compressor = zlib.compressobj(choices.pick((9, 1, 0)), wbits=-choices.pick((15, 9)))
        flush = zlib.Z_FULL_FLUSH if choices.flip(8) else zlib.Z_SYNC_FLUSH
        body = compressor.compress(payload) + compressor.flush(flush)
        body = body.removesuffix(_TAIL)
        if choices.flip(32):
            at = choices.below(len(body) + 1)
            body = body[:at] + choices.take(3) + body[at + choices.below(3) :]
        return body

    def _control(self, meaning: _Meaning, *, close: bool = True) -> bytes:
        choices = self._choices
        opcode = choices.pick((PING, PONG))
        payload = choices.take(20)
        if choices.flip(32):
            payload = b"x" * choices.pick((125, 126, 1_001))
        if close and choices.flip(16):
            opcode = CLOSE
            payload = struct.pack("!H", choices.pick(_CODES)) + choices.take(4)
            payload = payload[: choices.pick((2, 2, 6, 1, 0))]
        fin = not choices.flip(64)
        meaning.control(opcode, payload, fin=fin)
        return frame(opcode, payload, fin=fin)

    def _nonsense(self, meaning: _Meaning) -> bytes:
        choices = self._choices
        meaning.end(_PROTOCOL)
        match choices.below(5):
            case 0:
                return frame(TEXT, b"4", mask=None)
            case 1:
                return frame(choices.pick((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), b"")
            case 2:
                return frame(choices.pick((PING, PONG, CLOSE)), b"", rsv=choices.pick((1, 2, 4)))
            case 3:
                return frame(BINARY, b"", rsv=choices.pick((1, 2, 3)))
            case _:
                meaning.unsure = True
                return choices.take(40)

    def _compare(self, link: StreamLink, meaning: _Meaning) -> None:
        if meaning.unsure:
            return
        assert self._heard == meaning.messages, "other messages"
        assert self._received[1:] == self._heard, "other echoes"
        assert link.code is not None or not meaning.codes, "no close frame"
        assert link.code is None or link.code in meaning.codes, f"{link.code}: {meaning.codes}"
        pongs = iter(meaning.pings)
        assert all(pong in pongs for pong in link.pongs), "another pong"


TARGET = Target("frames", check, max_size=300, slice=400)
