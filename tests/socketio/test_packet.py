"""The Socket.IO v5 codec, without a connection."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from socketio.packet import Packet as IndependentPacket

from gbs_actor.socketio import InvalidArguments, ProtocolViolation, encode_event
from gbs_actor.socketio.encoding import encode_ack
from gbs_actor.socketio.packet import (
    RESERVED_EVENTS,
    EventData,
    Packet,
    PacketType,
    check_array,
    decode_event,
    decode_object,
    decode_packet,
    decode_values,
    decoded_size,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMESPACES = st.sampled_from(["/", "/custom", "/gbs-lineup"])
NAMES = st.text(min_size=1).filter(lambda name: name not in RESERVED_EVENTS)


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(PacketType.CONNECT, "/", None, "")),
        ('0{"token":"x"}', Packet(PacketType.CONNECT, "/", None, '{"token":"x"}')),
        ("0/custom", Packet(PacketType.CONNECT, "/custom", None, "")),
        ("0/custom,", Packet(PacketType.CONNECT, "/custom", None, "")),
        ('0/custom,{"a":1}', Packet(PacketType.CONNECT, "/custom", None, '{"a":1}')),
        ("1/custom,", Packet(PacketType.DISCONNECT, "/custom", None, "")),
        ('2["foo"]', Packet(PacketType.EVENT, "/", None, '["foo"]')),
        ('20["foo"]', Packet(PacketType.EVENT, "/", 0, '["foo"]')),
        ('2/custom,12["foo"]', Packet(PacketType.EVENT, "/custom", 12, '["foo"]')),
        ('3/custom,13["bar"]', Packet(PacketType.ACK, "/custom", 13, '["bar"]')),
        ('52-/custom,7["b"]', Packet(PacketType.BINARY_EVENT, "/custom", 7, '["b"]', 2)),
        ('61-0["b"]', Packet(PacketType.BINARY_ACK, "/", 0, '["b"]', 1)),
    ],
)
def test_a_head_is_taken_apart(text: str, packet: Packet) -> None:
    assert decode_packet(text) == packet


@pytest.mark.parametrize("text", ["", "7", "x", '5["no count"]', '5-["no count"]', "5x-[]"])
def test_a_malformed_head_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode_packet(text)


def test_an_ack_id_that_javascript_cannot_count_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        decode_packet("2" + "9" * 17 + '["foo"]')


@given(namespace=NAMESPACES, name=NAMES, args=st.lists(JSON, max_size=4))
def test_what_an_independent_encoder_writes_is_understood(
    namespace: str, name: str, args: list[Any]
) -> None:
    encoded = IndependentPacket(2, data=[name, *args], namespace=namespace, id=5).encode()
    packet = decode_packet(encoded)
    data = decode_event(packet.json)
    assert (packet.type, packet.namespace, packet.ack_id) == (PacketType.EVENT, namespace, 5)
    assert data.name == name
    assert decode_values(data.json) == [name, *json.loads(json.dumps(args))]


@given(namespace=NAMESPACES, name=NAMES, args=st.lists(JSON, max_size=4))
def test_what_is_written_is_understood_by_an_independent_decoder(
    namespace: str, name: str, args: list[Any]
) -> None:
    text = encode_event(namespace, name, *args).text.decode()
    packet = IndependentPacket(encoded_packet=text.removeprefix("4"))
    assert (packet.packet_type, packet.namespace or "/", packet.id) == (2, namespace, None)
    assert packet.data == [name, *args]


@given(args=st.lists(st.binary(max_size=20) | st.text(max_size=5), max_size=4))
def test_binary_values_survive_as_attachments(args: list[Any]) -> None:
    message = encode_event("/", "event", *args)
    packet = decode_packet(message.text.decode(), 1)
    assert packet.attachments == len(message.attachments)
    assert packet.attachments == sum(isinstance(value, bytes) for value in args)
    json_array = decode_event(packet.json).json
    assert decode_values(json_array, message.attachments) == ["event", *args]


def test_json_is_written_compactly() -> None:
    assert encode_event("/custom", "e", 1, {"a": [True, None]}).text == (
        b'42/custom,["e",1,{"a":[true,null]}]'
    )


@pytest.mark.parametrize("ack_id", [0, 12])
def test_an_acknowledgement_carries_its_id(ack_id: int) -> None:
    assert encode_ack("/", ack_id, ("x",)).text == f'43{ack_id}["x"]'.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '"text"',
        "[]",
        "[{}]",
        "[null]",
        '["a",]',
        '["a"] x',
        '["a",NaN]',
        '["a",01]',
        "abc",
        '["\\ud800"]',
        '["\ud800"]',
        '["\ud800",1]',
    ],
)
def test_an_event_that_is_no_named_array_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode_event(text)


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_a_reserved_name_is_a_violation(name: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode_event(json.dumps([name, 1]))


def test_a_reserved_name_does_not_hide_behind_escapes() -> None:
    with pytest.raises(ProtocolViolation):
        decode_event('["\\u0063onnect"]')


def test_arguments_are_not_decoded_ahead() -> None:
    data = decode_event('["e", {"a": 1} ,2]')
    assert data == EventData("e", '["e", {"a": 1} ,2]', Raw(b'{"a": 1}'))


def test_a_number_of_5000_digits_concerns_only_the_handler() -> None:
    data = decode_event('["e",' + "9" * 5000 + "]")
    assert data.args_error is None
    with pytest.raises(InvalidArguments):
        decode_values(data.json)


@pytest.mark.parametrize(
    "text",
    ['["e",' + "[" * 100_000 + "]" * 100_000 + "]", '["e","\ud800",' + "[" * 100_000],
    ids=["closed", "open"],
)
def test_nesting_without_end_concerns_only_the_handler(text: str) -> None:
    data = decode_event(text)
    assert data.name == "e"
    assert data.args_error == "arguments are nested too deeply"


def test_a_deeply_nested_reserved_event_is_still_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        decode_event('["connect",' + "[" * 100_000 + "]" * 100_000 + "]")


@pytest.mark.parametrize(("written", "name"), [('"e"', "e"), ("1", "1"), ("-2.5e3", "-2.5e3")])
@pytest.mark.parametrize("half", ["\\ud800", "\ud800"], ids=["escaped", "as it is"])
def test_half_a_surrogate_pair_concerns_only_the_handler(
    written: str, name: str, half: str
) -> None:
    data = decode_event(f'[{written},"{half}",1]')
    assert data.name == name
    assert data.args_error is not None


def test_a_name_keeps_its_pairs_where_an_argument_holds_half_of_one() -> None:
    data = decode_event(' [ "\\ud83d\\ude00[",[],"\\udc00"]')
    assert data.name == "\N{GRINNING FACE}["
    assert data.first is None


@pytest.mark.parametrize(
    "text",
    [
        '["e"' + ",0" * 300_000 + "]",
        '["e",' + "[" * 600 + "0" + ",{}" * 200_000 + "]" * 600 + "]",
        '["e"' + ",[]" * 200_000 + ',"\\ud800"]',
        '["' + "a\\\\" * 200_000 + '","\\ud800"]',
    ],
    ids=["many", "nested", "half a pair", "long name"],
)
def test_an_event_that_no_rate_has_counted_yet_costs_a_few_copies_at_most(text: str) -> None:
    tracemalloc.start()
    try:
        decode_event(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(text)


@pytest.mark.parametrize("text", ['[1,{"a"', "[", "", "[[[[", '["e",\ud800]'])
def test_truncated_json_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode_event(text)


@given(st.text(max_size=60) | st.text(alphabet='[]{}",\\0123456789e-', max_size=60))
def test_no_text_makes_the_decoder_raise_anything_else(text: str) -> None:
    try:
        packet = decode_packet(text)
        data = decode_event(packet.json)
        decode_values(data.json)
    except (ProtocolViolation, InvalidArguments):
        pass


@pytest.mark.parametrize("text", ["[]", '"text"', "12", "{", '{"a":' + "[" * 100_000, "null"])
def test_a_payload_that_is_no_object_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode_object(text)


@pytest.mark.parametrize(
    "item",
    ["0", "1.5", '""', '"한글"', "[]", "{}", "[[]]", '{"a":{}}', '{"a":0,"b":1}', "12345678"],
)
def test_how_large_json_is_once_decoded_is_not_underestimated(item: str) -> None:
    text = '{"x":[' + ",".join([item] * 5_000) + "]}"
    tracemalloc.start()
    try:
        decoded = decode_object(text)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoded
    assert held <= decoded_size(text)


@pytest.mark.parametrize("text", ["{}", "", "1", "[", "[" * 100_000])
def test_an_acknowledgement_that_is_no_array_is_a_violation(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        check_array(text)


@pytest.mark.parametrize("number", ["-1", "1", '"0"', "null", "1e3", "false"])
def test_a_placeholder_needs_an_attachment(number: str) -> None:
    placeholder = f'{{"_placeholder":true,"num":{number}}}'
    with pytest.raises(InvalidArguments):
        decode_values(f"[{placeholder}]", [b"only one"])
