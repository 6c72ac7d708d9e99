"""Decodes incoming Socket.IO v5 packets, without I/O; :mod:`.encoding` encodes outgoing ones.

``<type>[<n attachments>-][<namespace>,][<ack id>][<json>]``, see the Socket.IO protocol,
revision 5. Decoding stops in front of the JSON: an event's arguments are decoded by its handler.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gbs_actor.socketio.errors import InvalidArguments
from gbs_actor.socketio.websocket.close_code import ProtocolViolation

ROOT = "/"
_VALUE_SIZE = 200
MAX_ID_DIGITS: Final = 16
"""JavaScript counts exactly up to 2**53."""

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_DIGITS = re.compile(r"[0-9]*")
_EVENT_NAME = re.compile(r'\s*\[\s*("(?:[^"\\\x00-\x1f]++|\\.)*+"|-?[0-9][0-9.eE+-]*)\s*[,\]]')


class _Array(msgspec.Struct, array_like=True):
    """Any array: its items are checked, and skipped."""


class _Head(msgspec.Struct, array_like=True):
    """The start of an event's array. The rest is checked, and skipped."""

    name: Raw
    first: Raw | UnsetType = UNSET


_ARRAY = msgspec.json.Decoder(_Array)
_HEAD = msgspec.json.Decoder(_Head)
_NAME = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_VALUES = msgspec.json.Decoder(list[Any])

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Names that client and server libraries reserve; they must not be sent."""


class PacketType(StrEnum):
    """The digit a packet begins with."""

    CONNECT = "0"
    DISCONNECT = "1"
    EVENT = "2"
    ACK = "3"
    CONNECT_ERROR = "4"
    BINARY_EVENT = "5"
    BINARY_ACK = "6"


_TYPES = {kind.value: kind for kind in PacketType}
_BINARY_TYPES = (PacketType.BINARY_EVENT, PacketType.BINARY_ACK)
EVENTS: Final = (PacketType.EVENT, PacketType.BINARY_EVENT)


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A packet's head, and its JSON, not decoded."""

    type: PacketType
    namespace: str
    ack_id: int | None
    """``None`` differs from 0, which is every client's first."""
    json: str
    """Not decoded; "" if there is none."""
    attachments: int = 0
    """How many binary frames follow."""


def decode_packet(text: str, start: int = 0) -> Packet:
    """Decode a packet's head.

    :param start: index of the type's digit in ``text``.
    :raises ProtocolViolation: unknown type, or a head that is malformed.
    """
    kind = _TYPES.get(text[start : start + 1])
    if kind is None:
        raise ProtocolViolation("unknown Socket.IO packet type")
    at = start + 1
    attachments = 0
    if kind in _BINARY_TYPES:
        end = _digits(text, at)
        if end == at or text[end : end + 1] != "-":
            raise ProtocolViolation("binary packet without a number of attachments")
        attachments = int(text[at:end])
        at = end + 1
    namespace = ROOT
    if text[at : at + 1] == "/":
        comma = text.find(",", at)
        if comma < 0:
            return Packet(kind, text[at:], None, "", attachments)
        namespace = text[at:comma]
        at = comma + 1
    end = _digits(text, at)
    ack_id = int(text[at:end]) if end > at else None
    return Packet(kind, namespace, ack_id, text[end:], attachments)


def _digits(text: str, at: int) -> int:
    found = _DIGITS.match(text, at)
    end = found.end() if found is not None else at
    if end - at > MAX_ID_DIGITS:
        raise ProtocolViolation("number with too many digits")
    return end


class EventData(msgspec.Struct, frozen=True, gc=False):
    """An event's name, and its arguments, not decoded."""

    name: str
    json: str
    """The array of the name and the arguments, not decoded."""
    first: Raw | None = None
    """The JSON of the first argument; ``None``: there is none, or it cannot be found."""
    args_error: str | None = None
    """Why the arguments cannot be decoded."""


def decode_event(text: str) -> EventData:
    """Find an event's name and its first argument, and check the syntax of the rest.

    The rest is not decoded, as no rate limit has counted it yet.

    :raises ProtocolViolation: no JSON array, an empty one, one that does not begin with a
        name, or a reserved name.
    """
    try:
        head = _HEAD.decode(text)
    except msgspec.ValidationError:
        raise ProtocolViolation("event without a name") from None
    except (msgspec.DecodeError, UnicodeError):
        return _decode_odd_event(text)
    except RecursionError:
        return _decode_deep_event(text)
    first = head.first
    return EventData(_event_name(bytes(head.name)), text, None if first is UNSET else first)


def _event_name(raw: bytes) -> str:
    """Decode and check a name; a number is converted to its digits, as in JavaScript."""
    try:
        name = _NAME.decode(raw)
    except msgspec.ValidationError:
        if not (raw[:1].isdigit() or raw[:1] == b"-"):
            raise ProtocolViolation("event without a name") from None
        name = raw.decode("ascii")
    except (msgspec.DecodeError, UnicodeError):
        raise ProtocolViolation("event name is no text") from None
    if name in RESERVED_EVENTS:
        raise ProtocolViolation("event with a reserved name")
    return name


def _decode_odd_event(text: str) -> EventData:
    """Decode JSON that only our decoder refuses, for its lone surrogates."""
    cured = without_surrogates(text)
    try:
        name = bytes(_HEAD.decode(cured).name).decode()
    except RecursionError:
        return _decode_deep_event(text)
    except (msgspec.DecodeError, UnicodeError):
        raise ProtocolViolation("event is no JSON array") from None
    at = cured.index(name, cured.index("[") + 1)
    name = _event_name(text[at : at + len(name)].encode(errors="surrogatepass"))
    return EventData(name, text, args_error="arguments hold text that is no Unicode")


def _decode_deep_event(text: str) -> EventData:
    found = _EVENT_NAME.match(text)
    if found is None:
        raise ProtocolViolation("event without a name")
    name = _event_name(found[1].encode(errors="surrogatepass"))
    return EventData(name, text, args_error="arguments are nested too deeply")


def decoded_size(json: str) -> int:
    """Estimate, from above, how many bytes of memory some JSON takes once it is decoded."""
    return len(json) + _VALUE_SIZE * sum(map(json.count, ",[{"))


def decode_object(text: str) -> dict[str, Any]:
    """Decode a payload that has to be a JSON object.

    :raises ProtocolViolation: it is none, or cannot be decoded.
    """
    try:
        return _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ProtocolViolation("payload is no JSON object") from None


def decode_values(json: str, attachments: Sequence[bytes] = ()) -> list[Any]:
    """Decode an array, and replace its placeholders by the binary values.

    :raises InvalidArguments: one of its items cannot be decoded.
    """
    try:
        values = _VALUES.decode(json)
        if attachments:
            values = [_reconstruct(value, attachments) for value in values]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidArguments(f"arguments cannot be decoded: {error}") from None
    return values


def _reconstruct(value: Any, attachments: Sequence[bytes]) -> Any:
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            number = value.get("num")
            if type(number) is not int or not 0 <= number < len(attachments):  # true is no number
                raise InvalidArguments("placeholder without its attachment")
            return attachments[number]
        return {key: _reconstruct(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [_reconstruct(item, attachments) for item in value]
    return value


def check_array(text: str) -> None:
    """Check that an acknowledgement's values are a JSON array; they are not decoded.

    :raises ProtocolViolation: they are none.
    """
    try:
        _ARRAY.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ProtocolViolation("acknowledgement is no JSON array") from None


def without_surrogates(json: str) -> str:
    """Replace surrogates, and escapes for them, by ordinary characters of the same length.

    JSON's grammar allows lone surrogates (RFC 8259 §8.2), and allows decoders to refuse them.
    Text that can be decoded only after this was valid JSON. Pairs are replaced as well.
    """
    return _SURROGATE_ESCAPE.sub(r"\\ufffd", json.encode(errors="replace").decode())
