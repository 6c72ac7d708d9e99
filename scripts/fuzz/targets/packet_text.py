"""Socket.IO packets as any text: what is taken, what it means, and that nothing else happens.

Judges: a regular expression written from the protocol's grammar, the standard library's JSON
decoder, and the packet class of python-socketio.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from socketio.packet import Packet as OtherPacket

from gbs_actor.socketio import InvalidArguments, ProtocolViolation
from gbs_actor.socketio.packet import (
    RESERVED_EVENTS,
    EventData,
    Packet,
    check_array,
    decode_event,
    decode_object,
    decode_packet,
    decode_values,
)
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.values import scraps, spoil, value

_HEADS: Final = (
    "0", "1", "2", "3", "4", "51-", "62-", "5", "6-", "7", "50-", "2/custom,", "2/custom",
    "0/a,b", "212", "30", "51-/x,0", "/", "-", ",", "2" + "9" * 16, "2" + "9" * 17, "٣",
    "5" + "9" * 16 + "-", "2/?q=1,", "21-", "5१-", "2२", "",
)  # fmt: skip
_GRAMMAR: Final = re.compile(
    r"(?:([0-4])|([56])([0-9]{1,16})-)(?:(/[^,]*)(?:,|\Z))?([0-9]*)(.*)", re.DOTALL
)
_MARKS: Final[tuple[Any, ...]] = (True, False, 1, "true", None)
_ATTACHMENT_NUMBERS: Final[tuple[Any, ...]] = (
    0,
    1,
    2,
    -1,
    True,
    False,
    "0",
    None,
    0.0,
    1.5,
    10**20,
)
_TOO_DEEP: Final = 400
"""Levels of nesting from which on the judges do not decide."""


class _NoJson(Exception):
    """A text is no JSON to the standard library, or it cannot tell."""


def check(data: bytes) -> None:
    choices = Choices(data)
    text = _text(choices)
    attachments = [b"one", b"two"][: choices.below(3)]
    expected = _GRAMMAR.fullmatch(text)
    try:
        packet = decode_packet(text)
    except ProtocolViolation:
        assert expected is None or len(expected[5]) > 16, "a good head is refused"
        return
    assert expected is not None, "a bad head is taken"
    simple, binary, count, namespace, ack_id, rest = expected.groups()
    assert packet.type.value == (simple or binary)
    assert packet.attachments == int(count or 0)
    assert packet.namespace == (namespace or "/")
    assert packet.ack_id == (int(ack_id) if ack_id else None)
    assert packet.json == rest
    _compare_with_other(text, packet)
    _check_event(packet.json, attachments)
    _check_array(packet.json)
    _check_object(packet.json)


def _text(choices: Choices) -> str:
    match choices.below(4):
        case 0:
            return choices.pick(_HEADS) + scraps(choices)
        case 1:
            values = [choices.text() or "event"]
            while choices.more():
                values.append(_placeholder(choices) if choices.flip(4) else value(choices))
            text = json.dumps(values, ensure_ascii=choices.flip())
            if choices.flip():
                return choices.pick(_HEADS) + text
            return choices.pick(_HEADS) + spoil(choices, text)
        case 2:
            return spoil(choices, choices.pick(_HEADS) + json.dumps(value(choices)))
        case _:
            return choices.rest.decode(errors="replace")


def _placeholder(choices: Choices) -> Any:
    marked = {"_placeholder": choices.pick(_MARKS), "num": choices.pick(_ATTACHMENT_NUMBERS)}
    match choices.below(4):
        case 0:
            return marked
        case 1:
            return {"_placeholder": True}
        case 2:
            return [{"a": marked}, value(choices)]
        case _:
            return marked | {"more": value(choices)}


def _compare_with_other(text: str, packet: Packet) -> None:
    if not text.isascii() or "?" in packet.namespace:
        return  # it takes digits of any script, and cuts a query off a namespace
    if not packet.attachments and re.match(r"[0-9][0-9]+-", text):
        return  # it looks for attachments in any type of packet
    try:
        other = OtherPacket(encoded_packet=text)
    except (ValueError, RecursionError):
        return
    assert other.packet_type == int(packet.type)
    assert (other.namespace or "/") == packet.namespace
    assert other.id == packet.ack_id
    assert other.attachment_count == packet.attachments


def _check_event(text: str, attachments: list[bytes]) -> None:
    try:
        expected = _json(text)
    except _NoJson:
        expected = None
    try:
        event = decode_event(text)
    except ProtocolViolation:
        assert not _is_event(expected), "a good event is refused"
        return
    assert event.name not in RESERVED_EVENTS
    try:
        values = None if event.args_error else decode_values(text)[1:]
    except InvalidArguments:
        values = None
    if expected is not None:
        assert isinstance(expected, list), "an event that is no array is taken"
        assert expected, "an empty event is taken"
        _compare_event(event, values, expected)
    if values is not None and attachments:
        _check_placeholders(event, values, attachments)


def _compare_event(event: EventData, values: list[Any] | None, expected: list[Any]) -> None:
    name, *rest = expected
    if isinstance(name, str):
        assert event.name == name, "another name"
    else:
        assert isinstance(name, (int, float))
        assert not isinstance(name, bool)
    if event.args_error is None:
        assert (event.first is None) == (not rest), "another number of arguments"
    if values is not None:
        assert values == rest, "other arguments"
    elif event.args_error is None:
        assert "Infinity" in json.dumps(expected), "good arguments are refused"


def _check_placeholders(event: EventData, values: list[Any], attachments: list[bytes]) -> None:
    try:
        expected = _filled(values, attachments)
    except (LookupError, RecursionError):
        expected = None
    try:
        filled = decode_values(event.json, attachments)[1:]
    except InvalidArguments:
        filled = None
    assert filled == expected, "an attachment is not where it belongs"


def _filled(tree: Any, attachments: list[bytes]) -> Any:
    if isinstance(tree, list):
        return [_filled(item, attachments) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("_placeholder") is not True:
        return {key: _filled(item, attachments) for key, item in tree.items()}
    if type(tree.get("num")) is not int or tree["num"] < 0:
        raise LookupError
    return attachments[tree["num"]]


def _is_event(decoded: Any) -> bool:
    if not isinstance(decoded, list) or not decoded:
        return False
    name = decoded[0]
    if isinstance(name, str):
        return name not in RESERVED_EVENTS and _is_unicode(name)
    return isinstance(name, (int, float)) and not isinstance(name, bool)


def _check_array(text: str) -> None:
    try:
        check_array(text)
    except ProtocolViolation:
        _check_refused(text, list)
        return
    try:
        expected = _json(text)
    except _NoJson:
        raise AssertionError("an array that is no JSON is taken") from None
    assert isinstance(expected, list)


def _check_object(text: str) -> None:
    try:
        decoded = decode_object(text)
    except ProtocolViolation:
        _check_refused(text, dict)
        return
    try:
        assert decoded == _json(text)
    except _NoJson:
        raise AssertionError("an object that is no JSON is taken") from None


def _check_refused(text: str, kind: type) -> None:
    try:
        decoded = _json(text)
    except _NoJson:
        return
    if isinstance(decoded, kind):
        dumped = json.dumps(decoded, ensure_ascii=False)
        assert not _is_unicode(dumped) or "Infinity" in dumped, f"a good {kind} is refused"


def _json(text: str) -> Any:
    """Decode with the standard library, where it is as strict as JSON is."""
    if max(text.count("["), text.count("{")) > _TOO_DEEP:
        raise _NoJson
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _NoJson from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


TARGET = Target("packet-text", check, max_size=192, slice=4_000)
