"""Anything at all from a client: its connection ends or lives, the others never notice."""

from __future__ import annotations

import logging
import struct

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Service, serving

PIECES = st.sampled_from(
    ["40", "41", "42", "43", "44", "45", "46", "0", "1", "2", "3", "5", "6", "/custom", ",", "1-",
     "0", "12", '["message"', '["message-with-ack"', "]", "[", "{", "}", '"',
     '{"_placeholder":true', ',"num":0}', "\\u0000", "\\ud800", "9" * 30,
     "[" * 2_000, "null", " ", "한"]
)  # fmt: skip
PACKETS = st.lists(PIECES, max_size=6).map("".join)


def masked(opcode: int, payload: bytes) -> bytes:
    return struct.pack("!BBQ4x", 0x80 | opcode, 0x80 | 127, len(payload)) + payload


CHUNKS = st.one_of(
    PACKETS.map(lambda packet: masked(1, packet.encode())),
    st.binary(max_size=40).map(lambda payload: masked(2, payload)),
    st.tuples(st.integers(0, 15), st.binary(max_size=130)).map(lambda pair: masked(*pair)),
    st.binary(max_size=60),
)
FUZZ = settings(max_examples=150, deadline=None)


async def still_serves(service: Service) -> None:
    peer = await service.joined("/custom")
    assert await peer.receive_text() == '42/custom,["auth",{}]'
    await peer.close()
    assert service.door.statistics().failures == 0


@FUZZ
@given(chunks=st.lists(CHUNKS, max_size=8), joined=st.booleans())
def test_whatever_comes_behind_the_handshake(chunks: list[bytes], joined: bool) -> None:
    async def scenario() -> None:
        async with serving(echo_server(max_payload=5_000)) as service:
            peer = service.dial()
            await peer.upgrade()
            if joined:
                await peer.receive()
                await peer.connect()
            try:
                await peer.stream.send_all(b"".join(chunks))
                await peer.stream.send_eof()
            except trio.BrokenResourceError:
                pass  # the server has had enough already
            await still_serves(service)
        assert trio.current_time() < 20

    trio.run(scenario, clock=MockClock(autojump_threshold=0))


@FUZZ
@given(
    data=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [b"GET ", b"/socket.io/", b"?EIO=4&transport=websocket", b" HTTP/1.1\r\n",
                 b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n", b"\r\n", b"\r\n\r\n",
                 b"Sec-WebSocket-Version: 13\r\n", b"Origin: \xff\r\n", b"Cookie: =;=\r\n",
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"]
            ),
        ),
        max_size=10,
    ).map(b"".join)
)  # fmt: skip
def test_whatever_comes_in_place_of_a_handshake(data: bytes) -> None:
    async def scenario() -> None:
        async with serving(echo_server(), fallback_allowed=True) as service:
            peer = service.dial()
            await peer.stream.send_all(data)
            await peer.stream.send_eof()
            await still_serves(service)
        assert trio.current_time() < 20

    trio.run(scenario, clock=MockClock(autojump_threshold=0))


async def test_no_client_gets_an_error_into_the_log(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(echo_server()) as service:
        for packet in ("abc", "42", '42["connect"]', "2", '42["message",' + "9" * 5000 + "]"):
            peer = await service.joined()
            await peer.send(packet)
            await peer.stream.aclose()
        await still_serves(service)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
