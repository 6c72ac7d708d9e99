"""Encodes outgoing Socket.IO v5 packets once, as messages that any sockets may share.

See the Socket.IO protocol, revision 5; :mod:`.packet` decodes incoming ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.packet import ROOT, PacketType

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def encode_event(
    namespace: str,
    name: str,
    *args: Any,
    key: Hashable | None = None,
    ack_id: int | None = None,
) -> Message:
    """Encode one EVENT packet.

    :param args: JSON values, or anything msgspec can encode as such; binary values become
        attachments.
    :param key: see :class:`Message`; it counts within the namespace.
    :param ack_id: the id of the client's acknowledgement; ``None``: none is requested.
    :raises TypeError: an argument has no JSON form.
    """
    slot = None if key is None else (namespace, key)
    return _encode(PacketType.EVENT, namespace, ack_id, (name, *args), slot)


def encode_raw_event(
    namespace: str,
    name: str,
    json: bytes,
    key: Hashable | None = None,
    *,
    offset: str | None = None,
) -> Message:
    """Make an EVENT packet of one argument that is JSON already.

    :param json: compact UTF-8 JSON; not checked.
    :param key: see :class:`Message`; it counts within the namespace.
    :param offset: a second argument, for clients whose sessions can be recovered.
    """
    slot = None if key is None else (namespace, key)
    tail = b"]" if offset is None else b",%b]" % msgspec.json.encode(offset)
    return Message(b"%b%b%b" % (_event_head(namespace, name), json, tail), key=slot)


@lru_cache(maxsize=64)
def _event_head(namespace: str, name: str) -> bytes:
    """Return the part of an EVENT packet before its first argument."""
    return b"%b[%b," % (encode_head(PacketType.EVENT, namespace), msgspec.json.encode(name))


def encode_ack(namespace: str, ack_id: int, values: Iterable[Any]) -> Message:
    """Encode one ACK packet.

    :raises TypeError: a value has no JSON form.
    """
    return _encode(PacketType.ACK, namespace, ack_id, tuple(values), None)


def encode_raw_ack(namespace: str, ack_id: int, json: bytes) -> Message:
    """Make an ACK packet of one value that is JSON already."""
    return Message(raw_ack(namespace, ack_id, json))


def raw_ack(namespace: str, ack_id: int, json: bytes) -> bytes:
    """Return the text of :func:`encode_raw_ack`'s message."""
    return b"43%b%d[%b]" % (_namespace_part(namespace), ack_id, json)


@lru_cache(maxsize=64)
def _namespace_part(namespace: str) -> bytes:
    return b"" if namespace == ROOT else f"{namespace},".encode()


def encode_connect(namespace: str, sid: str, pid: str | None) -> Message:
    """Encode the CONNECT packet that accepts a client.

    :param pid: the secret of a session that can be recovered.
    """
    payload = {"sid": sid} if pid is None else {"sid": sid, "pid": pid}
    return Message(encode_head(PacketType.CONNECT, namespace) + msgspec.json.encode(payload))


def encode_connect_error(namespace: str, message: str, data: Any = None) -> Message:
    """Encode the CONNECT_ERROR packet that refuses a client.

    :raises TypeError: the data have no JSON form.
    """
    payload = {"message": message} if data is None else {"message": message, "data": data}
    return Message(encode_head(PacketType.CONNECT_ERROR, namespace) + msgspec.json.encode(payload))


def encode_disconnect(namespace: str) -> Message:
    """Encode the DISCONNECT packet that takes a client out of a namespace."""
    return Message(encode_head(PacketType.DISCONNECT, namespace))


def _encode(
    kind: PacketType,
    namespace: str,
    ack_id: int | None,
    values: Sequence[Any],
    slot: Hashable | None,
) -> Message:
    json, attachments = encode_values(values)
    if not attachments:
        return Message(encode_head(kind, namespace, ack_id) + json, key=slot)
    binary = PacketType.BINARY_EVENT if kind is PacketType.EVENT else PacketType.BINARY_ACK
    head = encode_head(binary, namespace, ack_id, len(attachments))
    return Message(head + json, key=slot, attachments=tuple(attachments))


def encode_head(
    kind: PacketType, namespace: str, ack_id: int | None = None, attachments: int | None = None
) -> bytes:
    """Return the part of an Engine.IO message before the JSON."""
    count = "" if attachments is None else f"{attachments}-"
    name = "" if namespace == ROOT else f"{namespace},"
    number = "" if ack_id is None else str(ack_id)
    return f"4{kind}{count}{name}{number}".encode()


def encode_values(values: Sequence[Any]) -> tuple[bytes, list[bytes]]:
    """Encode values compactly as a JSON array; binary ones are taken out.

    :returns: the JSON, and the attachments its placeholders number.
    :raises TypeError: a value has no JSON form.
    :raises RecursionError: nested too deeply.
    """
    attachments: list[bytes] = []
    if _has_binary(values):
        values = [_deconstruct(value, attachments) for value in values]
    return msgspec.json.encode(values), attachments


def _has_binary(value: Any) -> bool:
    if type(value) in _SCALARS:
        return False
    if isinstance(value, (bytes, bytearray, memoryview)):
        return True
    if isinstance(value, dict):
        return any(map(_has_binary, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_binary, value))
    return False


def _deconstruct(value: Any, attachments: list[bytes]) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: _deconstruct(item, attachments) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_deconstruct(item, attachments) for item in value]
    return value
