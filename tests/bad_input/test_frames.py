"""WebSocket frames and packets that no client may send."""

from __future__ import annotations

import struct

import pytest
import trio

from tests.bad_input.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NAMESPACE,
    PING,
    PONG,
    TEXT,
    Closed,
    Wire,
    frame,
    wire_to,
)
from tests.e2e.server_process import RETREAT, ServerProcess

PROTOCOL_ERROR, BAD_DATA, TOO_BIG = 1002, 1007, 1009


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"2", masked=False), PROTOCOL_ERROR, id="unmasked"),
        pytest.param(frame(0x3, b"2"), PROTOCOL_ERROR, id="reserved opcode"),
        pytest.param(frame(0xB, b""), PROTOCOL_ERROR, id="reserved control opcode"),
        pytest.param(frame(TEXT, b"2", reserved=4), PROTOCOL_ERROR, id="reserved bit"),
        pytest.param(frame(PING, b"x" * 126), PROTOCOL_ERROR, id="long ping"),
        pytest.param(frame(PING, b"", fin=False), PROTOCOL_ERROR, id="fragmented ping"),
        pytest.param(frame(CONTINUATION, b"2"), PROTOCOL_ERROR, id="continuation of nothing"),
        pytest.param(
            frame(TEXT, b"4", fin=False) + frame(TEXT, b"2"), PROTOCOL_ERROR, id="text in fragments"
        ),
        pytest.param(frame(TEXT, b"4\xff\xfe"), BAD_DATA, id="bad UTF-8"),
        pytest.param(frame(TEXT, b"4\xed\xa0\x80"), BAD_DATA, id="a surrogate in UTF-8"),
        pytest.param(frame(CLOSE, b"x"), PROTOCOL_ERROR, id="half a close code"),
        pytest.param(frame(CLOSE, struct.pack("!H", 999)), PROTOCOL_ERROR, id="wrong close code"),
        pytest.param(
            frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), BAD_DATA, id="bad UTF-8 in a close"
        ),
        pytest.param(frame(TEXT, b"4" * 1_000_001), TOO_BIG, id="oversized"),
        pytest.param(
            frame(TEXT, b"4" * 600_000, fin=False) + frame(CONTINUATION, b"4" * 600_000),
            TOO_BIG,
            id="oversized in fragments",
        ),
        pytest.param(
            b"\x81\xff" + struct.pack("!Q", 2**62) + b"mask", TOO_BIG, id="a length of 2**62"
        ),
        pytest.param(
            b"\x81\xff" + struct.pack("!Q", 2**63) + b"mask", None, id="a length of 2**63"
        ),
    ],
)
async def test_a_broken_frame_closes_with_the_right_code(
    server: ServerProcess, data: bytes, code: int | None
) -> None:
    async with wire_to(server) as wire:
        await wire.open()
        await wire.send(data)
        closed = await wire.close_code()
        assert closed == code if code is not None else closed in {PROTOCOL_ERROR, TOO_BIG}


async def test_the_largest_allowed_message_is_taken(server: ServerProcess, good_token: str) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
        padding = "x" * (1_000_000 - len(f'42{NAMESPACE},0["rename",""]'))
        answer = await wire.ask(f'["rename","{padding}"]')
        assert answer["code"] == "VALIDATION_FAILED"


async def test_a_message_in_a_thousand_fragments_is_one_message(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
        packet = f'42{NAMESPACE},0["leave-retreat","{"x" * 1_000}"]'.encode()
        last = len(packet) - 1
        await wire.send(
            b"".join(
                frame(CONTINUATION if at else TEXT, packet[at : at + 1], fin=at == last)
                for at in range(len(packet))
            )
        )
        assert (await wire.packet()).startswith(f"43{NAMESPACE},0")


async def test_a_ping_between_fragments_is_answered(server: ServerProcess) -> None:
    async with wire_to(server) as wire:
        await wire.open()
        await wire.send(frame(TEXT, b"4", fin=False) + frame(PING, b"here?"))
        assert await wire.next_frame() == (PONG, b"here?")


@pytest.mark.parametrize(
    "packet",
    [
        "", "9", "x", "0", "0{}", "2", "2x", "4", "49", "4x", "42", "42[]", "42{}", "42[5]",
        '42["x"]', '42/other,["x"]', f"42{NAMESPACE},", f"42{NAMESPACE},[]", f"42{NAMESPACE},{{}}",
        f"42{NAMESPACE},[null]", f'42{NAMESPACE},["connect"]', f'42{NAMESPACE},["disconnecting"]',
        f'42{NAMESPACE},["newListener"]', f'42{NAMESPACE},x["a"]', f'42{NAMESPACE},["a"',
        f'42{NAMESPACE},-1["a"]', f"42{NAMESPACE}," + "[" * 100_000, f"40{NAMESPACE},{{}}",
        f"40{NAMESPACE},[]", f"43{NAMESPACE},0", f"43{NAMESPACE},0{{}}",
        f'45{NAMESPACE},["a"]', f'451-{NAMESPACE},["a",{{"_placeholder":true,"num":5}}]2',
        f'45{"9" * 5_000}-{NAMESPACE},["a"]', f"44{NAMESPACE},{{}}", "1",
    ],
)  # fmt: skip
async def test_a_packet_that_is_none_closes_the_connection(
    server: ServerProcess, good_token: str, packet: str
) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
        await wire.text(packet)
        if packet.startswith("451-"):
            await wire.text("2")  # text in the middle of attachments
        await wire.close_code()


async def test_a_binary_frame_out_of_place_closes_the_connection(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
        await wire.send(frame(BINARY, b"\x00\xff"))
        await wire.close_code()


async def test_an_ack_id_of_five_thousand_digits_is_answered_or_closes(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
        await wire.text(f'42{NAMESPACE},{"9" * 5_000}["rename"]')
        try:
            answer = await wire.packet()
        except Closed:
            return
        assert answer.startswith(f"43{NAMESPACE},999")


async def test_an_unknown_namespace_is_refused_and_harms_nothing(
    server: ServerProcess, good_token: str
) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
        await wire.text("40/nowhere,")
        assert await wire.packet() == '44/nowhere,{"message":"Invalid namespace"}'
        await wire.join(RETREAT)


async def test_who_joins_no_namespace_is_closed(server: ServerProcess) -> None:
    async with wire_to(server) as wire:
        await wire.open()
        start = trio.current_time()
        await wire.close_code()
        assert 1 <= trio.current_time() - start <= 4


async def test_a_refused_namespace_does_not_count_as_joined(server: ServerProcess) -> None:
    async with wire_to(server) as wire:
        await wire.refusal('{"token":"x"}')
        await wire.close_code()


STAGES = [
    "nothing", "half a head", "a head", "the handshake", "half a frame", "a session", "a connect",
    "a namespace", "a join", "a room", "an edit", "half an edit",
]  # fmt: skip


async def _converse(wire: Wire, token: str, stage: str) -> None:
    """Talk up to a point, without reading what is last asked for."""
    if stage == "nothing":
        return
    if stage == "half a head":
        await wire.send(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost:")
        return
    if stage == "a head":
        await wire.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        return
    if stage == "the handshake":
        await wire.upgrade()
        return
    await wire.open()
    connect = f'40{NAMESPACE},{{"token":"{token}"}}'
    if stage == "half a frame":
        await wire.send(frame(TEXT, connect.encode())[:-5])
    if stage in {"half a frame", "a session"}:
        return
    await wire.text(connect)
    if stage == "a connect":
        return
    await wire.packet()
    if stage == "a namespace":
        return
    if stage == "a join":
        await wire.text(f'42{NAMESPACE},0["join-retreat","{RETREAT}"]')
        return
    row = next(row for row in (await wire.join(RETREAT))["data"] if not row["isLeader"])
    if stage == "a room":
        return
    edit = f'42{NAMESPACE},["update-gbs-number",{{"lineupId":{row["id"]},"gbsNumber":77}}]'
    data = frame(TEXT, edit.encode())
    await wire.send(data[:-3] if stage == "half an edit" else data * 20)


@pytest.mark.parametrize("stage", STAGES)
async def test_a_reset_at_any_point_harms_nobody(
    server: ServerProcess, good_token: str, stage: str
) -> None:
    async with wire_to(server) as other:
        await other.connect(good_token)
        await other.join(RETREAT)
        for _ in range(5):
            async with wire_to(server) as wire:
                await _converse(wire, good_token, stage)
                wire.reset()
        await other.join(RETREAT)


async def test_a_peer_that_vanishes_leaves_the_room(server: ServerProcess, good_token: str) -> None:
    async with wire_to(server) as other:
        await other.connect(good_token)
        await other.join(RETREAT)
        async with wire_to(server) as wire:
            await _converse(wire, good_token, "a room")
            wire.reset()
        with trio.fail_after(10):
            while '"connections":1,' not in await other.packet():
                pass
