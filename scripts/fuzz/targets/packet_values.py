"""Socket.IO packets there and back: what one side means is what the other understands.

Judge: the packet class of python-socketio, once as the sender and once as the receiver.
"""

from __future__ import annotations

from typing import Any

from socketio.packet import Packet as OtherPacket

from gbs_actor.socketio import encode_event
from gbs_actor.socketio.encoding import encode_ack
from gbs_actor.socketio.packet import (
    RESERVED_EVENTS,
    PacketType,
    check_array,
    decode_event,
    decode_packet,
    decode_values,
)
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.values import value

_NAMESPACES = ("/", "/custom", "/gbs-lineup", "/한글", "/1")
_ACK_IDS = (None, 0, 1, 12, 9_999_999_999_999_999)


def check(data: bytes) -> None:
    choices = Choices(data)
    namespace = choices.pick(_NAMESPACES)
    ack_id = choices.pick(_ACK_IDS)
    is_ack = choices.flip() and ack_id is not None
    values: list[Any] = []
    while choices.more():
        values.append(value(choices, binary=True))
    name = choices.text()
    if name in RESERVED_EVENTS:
        name = "event"
    if _has_placeholder(values):
        return  # what looks like a placeholder is one to every receiver
    _send(namespace, ack_id if is_ack else None, name, values)
    _receive(namespace, ack_id, is_ack, name, values)


def _send(namespace: str, ack_id: int | None, name: str, values: list[Any]) -> None:
    if ack_id is None:
        message = encode_event(namespace, name, *values)
        expected: list[Any] = [name, *values]
    else:
        message = encode_ack(namespace, ack_id, values)
        expected = values
    text = message.text.decode()
    assert text[0] == "4"
    other = OtherPacket(encoded_packet=text[1:])
    for attachment in message.attachments:
        other.add_attachment(attachment)
    binary = bool(message.attachments)
    assert other.packet_type == (2 if ack_id is None else 3) + (3 if binary else 0)
    assert (other.namespace or "/", other.id) == (namespace, ack_id)
    assert other.attachment_count == len(message.attachments)
    assert _same(other.data, expected), "not what was sent"


def _receive(
    namespace: str, ack_id: int | None, is_ack: bool, name: str, values: list[Any]
) -> None:
    data = values if is_ack else [name, *values]
    encoded = OtherPacket(3 if is_ack else 2, data, namespace, ack_id).encode()
    text, *attachments = encoded if isinstance(encoded, list) else [encoded]
    packet = decode_packet(text)
    kinds = (
        (PacketType.ACK, PacketType.BINARY_ACK)
        if is_ack
        else (PacketType.EVENT, PacketType.BINARY_EVENT)
    )
    assert packet.type is kinds[bool(attachments)]
    assert (packet.namespace, packet.ack_id) == (namespace, ack_id)
    assert packet.attachments == len(attachments)
    if is_ack:
        check_array(packet.json)
        received = decode_values(packet.json, attachments)
    else:
        event = decode_event(packet.json)
        assert (event.name, event.args_error) == (name, None)
        received = decode_values(event.json, attachments)[1:]
    assert _same(received, values), "not what was meant"


def _same(left: Any, right: Any) -> bool:
    """Compare, and tell 1 from 1.0 and true."""
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(_same(left[key], right[key]) for key in left)
        )
    return type(left) is type(right) and bool(left == right)


def _has_placeholder(tree: Any) -> bool:
    if isinstance(tree, list):
        return any(map(_has_placeholder, tree))
    if isinstance(tree, dict):
        return "_placeholder" in tree or any(map(_has_placeholder, tree.values()))
    return False


TARGET = Target("packet-values", check, max_size=256, slice=4_000)
