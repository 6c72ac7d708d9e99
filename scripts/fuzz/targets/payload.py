"""Long-polling payloads: packets joined, cut, split, and moved to a WebSocket.

Judges: the payload class of python-engineio, and wsproto for the frames.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from engineio.packet import Packet as OtherPacket
from engineio.payload import Payload as OtherPayload
from wsproto.frame_protocol import FrameProtocol, Opcode

from gbs_actor.socketio import Message, ProtocolViolation
from gbs_actor.socketio.engineio.payload import (
    POLLING,
    SEPARATOR,
    decode_payload,
    fitting,
    payload_frames,
)
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.values import spoil

_SCRAPS: Final = (
    "\x1e", "b", "bAQ==", "4", "2", "3probe", "b=", "bA", "bAQ= =", "bAQ", "4한", "\x00", "4b",
    "40",
    "b\x1e", "bAR==", "b-_-_", "bAQ==\n", "B", "d=", "b\x80", "64",
)  # fmt: skip
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_NEARLY_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*=*")  # what is too much of "=" does no harm
_MESSAGE: Final = 4


def check(data: bytes) -> None:
    choices = Choices(data)
    if choices.flip():
        _check_bytes(_body(choices))
    else:
        _check_packets(_packets(choices), choices)


def _body(choices: Choices) -> bytes:
    if choices.flip(4):
        return choices.rest
    parts = [choices.pick(_SCRAPS) for _ in range(choices.below(12))]
    return spoil(choices, "".join(parts), _SCRAPS).encode()


def _packets(choices: Choices) -> list[str | bytes]:
    """Return messages as an application has them: text or bytes."""
    packets: list[str | bytes] = []
    while choices.more():
        text = choices.text().replace("\x1e", "")  # the protocol has no way to say it
        packets.append(choices.take(40) if choices.flip() else text)
    return packets or [""]


def _check_bytes(body: bytes) -> None:
    """Anything: taken as its parts say, or refused at the first bad one."""
    parts = body.split(b"\x1e")
    taken: list[str | bytes] = []
    refused = False
    try:
        taken.extend(decode_payload(body))
    except ProtocolViolation:
        refused = True
    assert refused == (len(taken) < len(parts))
    for part, packet in zip(parts, taken, strict=False):
        if part[:1] != b"b":
            assert packet == part.decode()
        else:
            assert _NEARLY_BASE64.fullmatch(part, 1), "what is no base64 is taken"
            assert packet == _lenient(part[1:])
    if refused:
        first_bad = parts[len(taken)]
        assert (
            not _BASE64.fullmatch(first_bad, 1)
            if first_bad[:1] == b"b"
            else not _is_utf8(first_bad)
        ), "a good packet is refused"
    else:
        _compare_with_other(body, taken)


def _lenient(text: bytes) -> bytes:
    return binascii.a2b_base64(text)


def _is_utf8(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _compare_with_other(body: bytes, taken: list[str | bytes]) -> None:
    if body.startswith(b"d="):
        return  # a form, to the other one
    try:
        packets = _other(body.decode())
    except (ValueError, RecursionError):
        return
    if not body:
        assert (packets, taken) == ([], [""])
        return
    assert len(packets) == len(taken)
    for packet, mine in zip(packets, taken, strict=True):
        if isinstance(mine, bytes):
            assert (packet.packet_type, packet.data) == (_MESSAGE, mine)
        else:
            assert not packet.binary
            assert packet.packet_type == int(mine[0])


def _other(text: str) -> list[OtherPacket]:
    payload = OtherPayload()
    payload.max_decode_packets = len(text) + 1
    payload.decode(text)
    return list(payload.packets)


def _check_packets(packets: list[str | bytes], choices: Choices) -> None:
    """What either side writes, the other one reads; and nothing is lost where it is cut."""
    written = [
        Message.binary(packet) if isinstance(packet, bytes) else Message(b"4" + packet.encode())
        for packet in packets
    ]
    payload = SEPARATOR.join(map(POLLING, written))
    said = ["4" + packet if isinstance(packet, str) else packet for packet in packets]
    assert list(decode_payload(payload)) == said
    read = _other(payload.decode())
    other = OtherPayload([OtherPacket(_MESSAGE, packet) for packet in packets]).encode()
    assert list(decode_payload(other.encode())) == said
    assert [packet.packet_type for packet in read] == [_MESSAGE] * len(said)
    assert [packet.data for packet in read if packet.binary] == [
        packet for packet in packets if isinstance(packet, bytes)
    ]
    assert _messages(payload_frames(payload)) == said
    assert _messages(b"".join(message.websocket for message in written)) == said
    _check_cuts(payload, choices.below(len(payload) + 3))


def _check_cuts(payload: bytes, limit: int) -> None:
    whole = payload.split(SEPARATOR)
    answers: list[list[bytes]] = []
    rest = payload
    while True:
        size = fitting(memoryview(rest), limit)
        assert size == fitting(rest, limit)
        answer = rest[:size].split(SEPARATOR)
        assert size <= limit or len(answer) == 1, "too much in one answer"
        answers.append(answer)
        if size == len(rest):
            break
        assert rest[size : size + 1] == SEPARATOR, "a packet is cut"
        following = rest[size + 1 :].partition(SEPARATOR)[0]
        assert size + 1 + len(following) > limit, "another packet would have fitted"
        rest = rest[size + 1 :]
    assert [packet for answer in answers for packet in answer] == whole, "lost or doubled"


def _messages(frames: bytes) -> list[str | bytes]:
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(frames)
    messages: list[str | bytes] = []
    for frame in protocol.received_frames():
        assert frame.frame_finished
        assert frame.message_finished
        assert (frame.opcode is Opcode.TEXT) == isinstance(frame.payload, str)
        messages.append(frame.payload if isinstance(frame.payload, str) else bytes(frame.payload))
    return messages


TARGET = Target("payload", check, max_size=160, slice=3_000)
