"""Payloads of long-polling, against what the protocol says of them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from gbs_actor.socketio import ProtocolViolation
from gbs_actor.socketio.engineio.payload import (
    decode_payload,
    encode_binary,
    fitting,
    payload_frames,
)

PACKETS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"])).map(
            lambda text: f"4{text}"
        ),
        st.binary(),
    ),
    min_size=1,
)


def written(packets: list[str | bytes]) -> bytes:
    """Join packets as a client does, by means of its own."""
    return b"\x1e".join(
        packet.encode() if isinstance(packet, str) else b"b" + base64.b64encode(packet)
        for packet in packets
    )


def test_the_example_of_the_protocol_is_read() -> None:
    assert list(decode_payload(b"4hello\x1ebAQIDBA==")) == ["4hello", b"\x01\x02\x03\x04"]


def test_the_example_of_the_protocol_is_written() -> None:
    assert encode_binary(b"\x01\x02\x03\x04") == b"bAQIDBA=="


@given(PACKETS)
def test_every_packet_of_a_payload_is_read_in_its_order(packets: list[str | bytes]) -> None:
    assert list(decode_payload(written(packets))) == packets


def test_a_payload_of_nothing_is_one_empty_packet() -> None:
    assert list(decode_payload(b"")) == [""]


def test_separators_at_the_ends_stand_beside_empty_packets() -> None:
    assert list(decode_payload(b"\x1e4a\x1e")) == ["", "4a", ""]


@pytest.mark.parametrize(
    "packet",
    [b"bAQ", b"bA Q=", b"b====", b"bAQIDBA==AQ==", b"bAQID\nBA==", "b한글".encode(), b"b-_8="],
)
def test_what_is_no_base64_breaks_the_protocol(packet: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="base64"):
        list(decode_payload(packet))


@pytest.mark.parametrize("packet", [b"4\xff", b"4\xed\xa0\x80", b"\x80", b"4\xc0\x80"])
def test_text_that_is_no_utf8_breaks_the_protocol(packet: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="UTF-8"):
        list(decode_payload(packet))


def test_packets_before_one_that_cannot_be_read_are_handed_over() -> None:
    packets = decode_payload(b"4a\x1eb!\x1e4b")
    assert next(packets) == "4a"
    with pytest.raises(ProtocolViolation):
        next(packets)


@given(PACKETS, st.integers(1, 60), st.integers(1, 5))
def test_as_many_whole_packets_are_sent_as_fit(
    packets: list[str | bytes], max_bytes: int, max_packets: int
) -> None:
    payload = written(packets)
    size = fitting(payload, max_bytes, max_packets)
    sent = [written(packets[:number]) for number in range(1, len(packets) + 1)]
    allowed = [whole for whole in sent[:max_packets] if len(whole) <= max_bytes] or sent[:1]
    assert payload[:size] == allowed[-1]


@given(PACKETS)
def test_a_payload_becomes_a_frame_for_each_packet(packets: list[str | bytes]) -> None:
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(payload_frames(written(packets)))
    assert [frame.payload for frame in protocol.received_frames()] == packets
