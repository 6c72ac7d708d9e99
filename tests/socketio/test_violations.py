"""What a client must not say, and how its connection ends; on memory streams."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import ConnectError, Socket
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Close, serving

pytestmark = pytest.mark.usefixtures("drivers")


def masked(opcode: int, payload: bytes, *, fin: bool = True, length: int | None = None) -> bytes:
    """Return a client's frame with a mask of zeros, perhaps lying about its length."""
    size = len(payload) if length is None else length
    return struct.pack("!BBQ4x", (0x80 if fin else 0) | opcode, 0x80 | 127, size) + payload


@pytest.mark.parametrize(
    "packet",
    [
        "abc", "", "2", "5", "6", "2probe", "0{}", "4abc", "47", "42", "42{}", '42"a"', "42[]",
        '42abc["message-with-ack",1]', '42["connect"]', '42["connect_error"]', '42["disconnect"]',
        '42["disconnecting"]', '42["newListener"]', '42["removeListener"]', '42/custom,["a"]',
        "40", "41{}", '44{"message":"x"}', '451-["a"]x', "43x", '45["a"]',
    ],
)  # fmt: skip
async def test_a_packet_that_breaks_the_protocol_ends_the_connection(
    clock: MockClock, packet: str
) -> None:
    server = echo_server()
    reasons: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: reasons.append(reason))
    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many(packet, '420["message-with-ack","not handled any more"]')
        closed = await peer.receive_close()
        if packet == '451-["a"]x':
            assert closed.code == 1002  # text in the middle of attachments
        assert closed.code in (1002, 1009)
        await wait_all_tasks_blocked()
        assert reasons == ["parse error"]
        assert service.server.statistics().closes == {"parse error": 1}


async def test_a_violation_of_one_client_leaves_the_others_alone(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        good, bad = await service.joined(), await service.joined()
        await good.receive_event()
        await bad.send("abc")
        await bad.receive_close()
        await good.send('420["message-with-ack"]')
        assert await good.receive_text() == "430[]"


async def test_answers_to_what_came_before_a_violation_go_out_before_the_close(
    clock: MockClock,
) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.send_many('420["message-with-ack"]', "abc")
        assert await peer.receive_text() == "430[]"
        assert isinstance(await peer.receive(), Close)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (masked(1, b"4" * 5_001), 1009),
        (masked(1, b"", length=2**62), 1009),
        (masked(1, b"4" * 3_000, fin=False) + masked(0, b"4" * 3_000), 1009),
        (masked(1, b"\xff\xfe"), 1007),
        (masked(1, b"42\xed\xa0\x80"), 1007),
        (masked(3, b""), 1002),
        (masked(0, b"no beginning"), 1002),
        (masked(1, b"4", fin=False) + masked(1, b"4"), 1002),
        (masked(9, b"x" * 126), 1002),
        (masked(9, b"", fin=False), 1002),
        (b"\xf1\x80\x00\x00\x00\x00", 1002),
        (b"\x81\x01x", 1002),
        (masked(8, b"\x03"), 1002),
        (masked(8, b"\x03\xe7"), 1002),
        (masked(8, b"\x03\xe8\xff"), 1007),
        (masked(2, b"not announced"), 1002),
    ],
)
async def test_a_malformed_frame_closes_with_the_code_of_the_rfc(
    clock: MockClock, raw: bytes, code: int
) -> None:
    async with serving(echo_server(max_payload=5_000)) as service:
        peer = await service.joined()
        await peer.stream.send_all(raw)
        assert (await peer.receive_close()).code == code


async def test_a_message_of_exactly_the_allowed_size_is_taken(clock: MockClock) -> None:
    async with serving(echo_server(max_payload=5_000)) as service:
        peer = await service.joined()
        await peer.receive_event()
        head, tail = '420["message-with-ack","', '"]'
        await peer.send(head + "x" * (5_000 - len(head) - len(tail)) + tail)
        assert (await peer.receive_text()).startswith('430["xxx')
        await peer.send(head + "x" * (5_001 - len(head) - len(tail)) + tail)
        assert (await peer.receive_close()).code == 1009


async def test_a_server_may_send_more_than_a_client(clock: MockClock) -> None:
    server = echo_server(max_payload=1_000)
    async with serving(server) as service:
        peer = await service.joined()
        await peer.receive_event()
        server.namespace("/").emit("large", "x" * 200_000)
        assert len((await peer.receive_event())[1]) == 200_000


async def test_endless_empty_fragments_hold_no_memory(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.stream.send_all(masked(1, b"", fin=False) + masked(0, b"", fin=False) * 5_000)
        await peer.stream.send_all(masked(0, b'420["message-with-ack"]'))
        assert await peer.receive_text() == "430[]"


async def test_a_close_packet_closes(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        await peer.send("1")
        assert (await peer.receive_close()).code == 1000
        assert service.server.statistics().closes == {"transport close": 1}


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_a_close_frame_is_echoed(clock: MockClock, code: int) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        assert (await peer.close(code)).code == code


@pytest.mark.parametrize("cut", range(0, 30, 3))
async def test_a_stream_that_ends_anywhere_ends_its_connection_only(
    clock: MockClock, cut: int
) -> None:
    server = echo_server()
    reasons: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: reasons.append(reason))
    async with serving(server) as service:
        peer = await service.joined()
        await peer.stream.send_all(masked(1, b'420["message-with-ack"]')[:cut])
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert reasons == ["transport close"]
        await service.joined()
        assert service.door.statistics().failures == 0


@pytest.mark.parametrize("packets", [(), ("40/random,",), ("40/refused,",)])
async def test_a_connection_that_joins_nothing_in_time_is_closed(
    clock: MockClock, packets: tuple[str, ...]
) -> None:
    server = echo_server(connect_timeout=45.0, ping_interval=1_000)

    @server.namespace("/refused").on_connect
    def refuse(socket: Socket, auth: Any) -> None:
        raise ConnectError("no")

    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        for packet in packets:
            await peer.send(packet)
        assert (await peer.receive_close()).code == 1008
        assert trio.current_time() == 45.0


async def test_a_connection_that_has_left_every_namespace_stays(clock: MockClock) -> None:
    async with serving(echo_server(connect_timeout=45.0, ping_interval=1_000)) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.send("41")
        await trio.sleep(100)
        await peer.connect("/custom")


async def test_a_disconnect_is_not_answered_and_late_packets_are_ignored(clock: MockClock) -> None:
    server = echo_server()
    reasons: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: reasons.append(reason))
    async with serving(server) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.send_many("41", '420["message-with-ack"]', '42["message"]', "41", "430[]")
        await peer.connect("/custom")
        assert reasons == ["client namespace disconnect"]


async def test_a_namespace_may_be_joined_again_after_leaving(clock: MockClock) -> None:
    async with serving(echo_server()) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.send("41")
        await peer.connect("/")
        assert await peer.receive_event() == ["auth", {}]
        await peer.send('420["message-with-ack"]')
        assert await peer.receive_text() == "430[]"


async def test_what_comes_behind_the_end_is_not_looked_at(clock: MockClock) -> None:
    server = echo_server()
    connected: list[Socket] = []

    @server.namespace("/late").on_connect
    def connect(socket: Socket, auth: Any) -> None:
        connected.append(socket)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many("1", "40/late,")
        await peer.receive_close()
    assert connected == []
