"""permessage-deflate: negotiated, shared by all who get a message, bounded on the way in."""

from __future__ import annotations

import contextlib
import json
import random
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto.extensions import PerMessageDeflate

from gbs_actor.socketio import Message, Socket, SocketServer, encode_raw_event
from gbs_actor.socketio.channel import message as message_module
from gbs_actor.socketio.websocket.frame import TEXT, deflate, frame
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Close, Peer, Service, serving

ROW = json.dumps(
    {"name": "김간사", "phoneNumber": "010-0000-0000", "gbsNumber": 7, "memo": "x" * 600}
)


async def compressing(service: Service, offer: PerMessageDeflate | None = None) -> Peer:
    """Return a client that has joined, and offers to compress."""
    peer = service.dial()
    await peer.upgrade(extensions=[offer or PerMessageDeflate()])
    await peer.receive_text()
    await peer.connect()
    await peer.receive_event()
    return peer


async def test_a_client_that_offers_it_gets_compressed_messages(clock: MockClock) -> None:
    async with serving(echo_server(deflate=True)) as service:
        peer = await compressing(service)
        before = peer.received_bytes
        await peer.send(f'42["message",{ROW}]')
        assert await peer.receive_event() == ["message-back", json.loads(ROW)]
        assert peer.received_bytes - before < len(ROW) / 3


async def test_attachments_are_compressed_too(clock: MockClock) -> None:
    async with serving(echo_server(deflate=True)) as service:
        peer = await compressing(service)
        before = peer.received_bytes
        await peer.send('451-["message",{"_placeholder":true,"num":0}]')
        await peer.send(b"x" * 10_000)
        assert str(await peer.receive()).startswith("451-")
        assert await peer.receive() == b"x" * 10_000
        assert peer.received_bytes - before < 1_000


async def test_it_is_off_by_default(clock: MockClock) -> None:
    offer = PerMessageDeflate()
    async with serving(echo_server()) as service:
        peer = await compressing(service, offer)
        before = peer.received_bytes
        await peer.send(f'42["message",{ROW}]')
        await peer.receive_event()
        assert peer.received_bytes - before > len(ROW)
    assert not offer.enabled()


async def test_a_client_that_does_not_offer_it_gets_plain_messages_beside_one_that_does(
    clock: MockClock,
) -> None:
    server = echo_server(deflate=True)
    async with serving(server) as service:
        plain, compressed = await service.joined(), await compressing(service)
        await plain.receive_event()
        sizes = [plain.received_bytes, compressed.received_bytes]
        server.namespace("/").emit("row", json.loads(ROW))
        assert await plain.receive_event() == await compressed.receive_event()
        assert plain.received_bytes - sizes[0] > 600
        assert compressed.received_bytes - sizes[1] < len(ROW) / 3


async def test_neither_side_keeps_a_window_between_messages(clock: MockClock) -> None:
    offer = PerMessageDeflate()
    async with serving(echo_server(deflate=True)) as service:
        await compressing(service, offer)
    assert offer.server_no_context_takeover
    assert offer.client_no_context_takeover


async def test_a_client_that_wants_a_smaller_window_is_served_without(clock: MockClock) -> None:
    # A shared message has one window; RFC 7692 §7.1.2.1 lets a server decline.
    offer = PerMessageDeflate(server_max_window_bits=10)
    async with serving(echo_server(deflate=True)) as service:
        await compressing(service, offer)
    assert not offer.enabled()


async def test_many_subscribers_cost_one_compression(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[int] = []

    def counting(payload: bytes, head: int) -> bytes | None:
        compressed.append(len(payload))
        return deflate(payload, head)

    server = SocketServer(deflate=True)
    server.namespace("/")
    async with serving(server) as service:
        peers = []
        for _ in range(500):
            peer = service.dial()
            await peer.upgrade(extensions=[PerMessageDeflate()])
            await peer.receive_text()
            await peer.connect()
            peers.append(peer)
        monkeypatch.setattr(message_module, "deflate", counting)
        message = encode_raw_event("/", "lineup-updated", ROW.encode())
        for socket in server.namespace("/").sockets:
            socket.deliver(message)
        for peer in peers:
            assert await peer.receive_event() == ["lineup-updated", json.loads(ROW)]
    assert len(compressed) == 1


@pytest.mark.parametrize("payload", [b"", b"2", b"x" * 127])
def test_what_is_too_small_to_gain_is_left_as_it_is(payload: bytes) -> None:
    message = Message(payload)
    assert message.deflated == frame(payload) == message.websocket


def test_what_would_grow_is_left_as_it_is() -> None:
    noise = random.Random(1).randbytes(2_000)
    assert deflate(noise, TEXT) is None
    assert Message.binary(noise).deflated == Message.binary(noise).websocket


async def test_a_decompression_bomb_ends_its_connection_and_costs_no_memory(
    clock: MockClock,
) -> None:
    bomb = zlib.compressobj(wbits=-15)
    data = b"".join(bomb.compress(b"x" * 1_000_000) for _ in range(100))
    data = (data + bomb.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
    async with serving(echo_server(deflate=True, max_payload=1_000_000)) as service:
        peer = await compressing(service)
        head = struct.pack("!BBQ4x", 0xC1, 0x80 | 127, len(data))
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send, peer, head + data)
                closed = await peer.receive_close()
                nursery.cancel_scope.cancel()
        assert closed == Close(1009, closed.reason)
        assert await (await service.joined()).receive_event() == ["auth", {}]


async def test_of_many_messages_that_come_compressed_few_are_held(clock: MockClock) -> None:
    """Where the first of them is under way, the others wait as they came: compressed."""
    server = SocketServer(deflate=True)

    @server.namespace("/").on("work")
    async def work(socket: Socket, *args: Any) -> None:
        await trio.sleep(10)

    text = b'42["work","' + b"x" * 990_000 + b'"]'
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    data = data.removesuffix(b"\x00\x00\xff\xff")
    frame = struct.pack("!BBH4x", 0xC1, 0x80 | 126, len(data)) + data
    async with serving(server) as service:
        peer = service.dial()
        await peer.upgrade(extensions=[PerMessageDeflate()])
        await peer.receive_text()
        await peer.connect()
        tracemalloc.start()
        try:
            await peer.stream.send_all(frame * 50)
            await wait_all_tasks_blocked()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


async def _send(peer: Peer, data: bytes) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # the server has had enough
        await peer.stream.send_all(data)


async def test_compressed_messages_are_understood(clock: MockClock) -> None:
    async with serving(echo_server(deflate=True)) as service:
        peer = await compressing(service)
        value: Any = ["한글" * 500]
        await peer.send(f'42["message",{json.dumps(value)}]')  # wsproto compresses it
        assert await peer.receive_event() == ["message-back", value]
