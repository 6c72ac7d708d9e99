"""Socket.IO packets: any text is taken as it is meant, or refused; nothing else happens.

Oracles: a regular expression written from the protocol's grammar, the standard library's JSON
decoder, and, there and back, the packet class of python-socketio.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from hypothesis import strategies as st
from socketio.packet import Packet as OtherPacket

from gbs_actor.socketio import InvalidArguments, ProtocolViolation, encode_event
from gbs_actor.socketio.encoding import encode_ack
from gbs_actor.socketio.packet import (
    RESERVED_EVENTS,
    check_array,
    decode_event,
    decode_object,
    decode_packet,
    decode_values,
)
from scripts.fuzz.choices import JSON, JSON_AND_BYTES, Choices
from scripts.fuzz.running import Target

_HEADS: Final = (
    "2", "0", "1", "3", "4", "51-", "62-", "5", "6-", "7", "50-", "2/custom,", "2/custom",
    "0/a,b", "212", "30", "51-/x,0", "51-/x", "/", "-", ",", "2" + "9" * 16, "2" + "9" * 17, "٣",
    "5" + "9" * 16 + "-", "2/?q=1,", "21-", "5१-", "2२", "",
)  # fmt: skip
_GRAMMAR: Final = re.compile(
    r"(?:([0-4])|([56])([0-9]{1,16})-)(?:(/[^,]*)(?:,|\Z))?([0-9]*)(.*)", re.DOTALL
)
_PLACEHOLDERS: Final = st.fixed_dictionaries(
    {
        "_placeholder": st.sampled_from((True, False, 1, "true", None)),
        "num": st.sampled_from((0, 1, 2, -1, True, False, "0", None, 0.0, 1.5, 10**20)),
    },
    optional={"more": JSON},
)
_ARGUMENTS: Final = JSON | _PLACEHOLDERS | _PLACEHOLDERS.map(lambda hole: [{"a": hole}])
_TOO_DEEP: Final = 400
"""Levels of nesting from which on the oracle does not decide."""
_NAMESPACES: Final = ("/", "/custom", "/gbs-lineup", "/한글", "/1")
_ACK_IDS: Final = (None, 0, 1, 12, 9_999_999_999_999_999)


class _NotJson(Exception):
    """A text is no JSON to the standard library, or it does not decide."""


def check(choices: Choices) -> None:
    if choices.chance(3):
        _check_round_trip(choices)
    else:
        _check_text(_text(choices), [b"one", b"two"][: choices.below(3)])


def _text(choices: Choices) -> str:
    head = choices.pick(_HEADS)
    match choices.below(4):
        case 0:
            return head + choices.scraps()
        case 1:
            values: list[object] = [choices.text() or "event"]
            values += [choices.draw(_ARGUMENTS) for _ in choices.times(3)]
            text = json.dumps(values, ensure_ascii=choices.chance())
            return head + (text if choices.chance() else choices.spoil(text))
        case 2:
            return choices.spoil(head + json.dumps(choices.draw(JSON)))
        case _:
            return choices.draw(st.text(max_size=60))


def _check_text(text: str, attachments: list[bytes]) -> None:
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
    _check_event(rest, attachments)
    _check_decoder(check_array, list, rest)
    _check_decoder(decode_object, dict, rest)


def _check_event(text: str, attachments: list[bytes]) -> None:
    try:
        expected = _json(text)
    except _NotJson:
        expected = None
    try:
        event = decode_event(text)
    except ProtocolViolation:
        assert not _is_event(expected), "a good event is refused"
        return
    assert event.name not in RESERVED_EVENTS
    values = None if event.args_error else _values(text)
    if expected is not None:
        assert isinstance(expected, list) and expected, "an event that is none is taken"
        name, *arguments = expected
        if isinstance(name, str):
            assert event.name == name, "another name"
        else:
            assert isinstance(name, (int, float)) and not isinstance(name, bool)
        if event.args_error is None:
            assert (event.first is None) == (not arguments), "another number of arguments"
            assert values == arguments or "Infinity" in json.dumps(expected), "other arguments"
    if values is not None and attachments:
        try:
            filled = _filled(values, attachments)
        except (LookupError, RecursionError):
            filled = None
        assert _values(text, attachments) == filled, "an attachment is not where it belongs"


def _values(text: str, attachments: list[bytes] | None = None) -> list[Any] | None:
    try:
        return decode_values(text, attachments or ())[1:]
    except InvalidArguments:
        return None


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


def _check_decoder(decode: Callable[[str], Any], kind: type, text: str) -> None:
    """Check a decoder that takes one kind of JSON."""
    try:
        expected = _json(text)
    except _NotJson:
        expected = None
    try:
        decoded = decode(text)
    except ProtocolViolation:
        dumped = json.dumps(expected, ensure_ascii=False)
        if isinstance(expected, kind) and _is_unicode(dumped):
            assert "Infinity" in dumped, f"a good {kind} is refused"
    else:
        assert isinstance(expected, kind), f"what is no {kind} is taken"
        assert decoded is None or decoded == expected  # the array is not decoded


def _json(text: str) -> Any:
    """Decode with the standard library, where it is as strict as JSON is."""
    if max(text.count("["), text.count("{")) > _TOO_DEEP:
        raise _NotJson
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _NotJson from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# There and back.


def _check_round_trip(choices: Choices) -> None:
    namespace = choices.pick(_NAMESPACES)
    ack_id = choices.pick(_ACK_IDS)
    is_ack = choices.chance() and ack_id is not None
    values = [choices.draw(JSON_AND_BYTES) for _ in choices.times(3)]
    name = choices.text()
    if name in RESERVED_EVENTS or "_placeholder" in repr(values):
        return  # what looks like a placeholder is one to every receiver
    data = values if is_ack else [name, *values]

    if is_ack and ack_id is not None:
        message = encode_ack(namespace, ack_id, values)
    else:
        message = encode_event(namespace, name, *values)
    text = message.text.decode()
    assert text[0] == "4"
    sent = OtherPacket(encoded_packet=text[1:])
    for attachment in message.attachments:
        sent.add_attachment(attachment)
    assert sent.packet_type == (3 if is_ack else 2) + (3 if message.attachments else 0)
    assert (sent.namespace or "/", sent.id) == (namespace, ack_id if is_ack else None)
    assert sent.attachment_count == len(message.attachments)
    assert repr(sent.data) == repr(data), "not what was sent"  # 1 is not 1.0, nor true

    encoded = OtherPacket(3 if is_ack else 2, data, namespace, ack_id).encode()
    text, *attachments = encoded if isinstance(encoded, list) else [encoded]
    packet = decode_packet(text)
    assert packet.type.value == text[0]
    assert (packet.namespace, packet.ack_id) == (namespace, ack_id)
    assert packet.attachments == len(attachments)
    if is_ack:
        check_array(packet.json)
    else:
        assert (decode_event(packet.json).name, decode_event(packet.json).args_error) == (
            name,
            None,
        )
    assert repr(decode_values(packet.json, attachments)) == repr(data), "not what was meant"


TARGET = Target("packets", check, slice=200)
