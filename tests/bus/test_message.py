"""Messages carry all hints, in few bytes, and can be read by older versions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.bus import Hint
from gbs_actor.bus.message import MAX_SIZE, IncompatibleMessage, Message, Sender, encode, read
from gbs_actor.bus.presence import ConnectionMark, People, Record, encoded
from gbs_actor.contract.decoding import InvalidPayload

TEXT = st.text(max_size=60)
HINT = st.builds(
    Hint,
    retreat_id=st.integers(min_value=-(2**63), max_value=2**63 - 1),
    epoch=TEXT,
    revision=st.integers(min_value=0, max_value=2**63 - 1),
)


def many(number: int) -> list[Hint]:
    return [Hint(n, "0123456789abcdef", 10_000 + n) for n in range(number)]


@given(TEXT, st.integers(min_value=1, max_value=2**62), st.lists(HINT, max_size=300))
def test_what_is_encoded_is_read(node: str, serial: int, hints: list[Hint]) -> None:
    sent = encode(Sender(node, "x7"), serial, hints)
    messages = [read(data) for data in sent]
    assert all(len(data) <= MAX_SIZE for data in sent)
    assert [hint for message in messages for hint in message.hints] == hints
    assert [message.serial for message in messages] == [serial + n for n in range(len(sent))]
    assert {message.node for message in messages} == {node}


@given(st.binary() | st.text().map(str.encode) | st.just(b"[" * 100_000))
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read(data)


def test_a_message_is_as_full_as_it_may_be() -> None:
    *full, last = encode(Sender("a", ""), 1, many(1_000))
    smallest = len(b'[999,"0123456789abcdef",10999],')
    assert all(MAX_SIZE - 4 * smallest < len(data) <= MAX_SIZE for data in full)
    assert len(last) <= MAX_SIZE


def test_no_hints_are_one_short_message() -> None:
    assert encode(Sender("a", ""), 7, []) == [b'{"v":1,"node":"a","serial":7}']


def test_a_hint_that_is_too_large_goes_alone() -> None:
    large = "x" * MAX_SIZE
    hints = [Hint(1, large, 1), Hint(2, "e", 1), Hint(3, large, 1), Hint(4, "e", 1)]
    sent = [json.loads(data)["hints"] for data in encode(Sender("a", ""), 1, hints)]
    assert sent == [[[hint.retreat_id, hint.epoch, 1]] for hint in hints]


def test_of_a_retreat_people_and_marks_are_read_in_their_order() -> None:
    items: list[Record] = [
        ConnectionMark(1, 5),
        People(2, 1),
        ConnectionMark(2, 5),
        People(3),
        People(2),
        People(1),
        ConnectionMark(1, 6),
    ]
    sent = encode(Sender("a", "x"), 1, [], [(item, encoded(item)) for item in items])
    read_as = [(each.people, each.editing) for each in map(read, sent)]
    assert read_as == [
        ((People(2, 1), People(3)), (ConnectionMark(1, 5), ConnectionMark(2, 5))),
        ((People(2), People(1)), (ConnectionMark(1, 6),)),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        '"node":"%s","serial":1' % ("x" * 65),
        '"node":"a","serial":9223372036854775808',
        '"node":"a","serial":1,"run":"%s"' % ("x" * 65),
        '"node":"a","serial":1,"hints":[[1,"%s",1]]' % ("x" * 65),
        '"node":"a","serial":1,"hints":[[9223372036854775808,"e",1]]',
        '"node":"a","serial":1,"hints":[[1,"e",9223372036854775808]]',
    ],
)
def test_what_would_be_kept_is_short(fields: str) -> None:
    with pytest.raises(InvalidPayload):
        read(b'{"v":1,%s}' % fields.encode())


def test_what_a_later_version_adds_is_ignored() -> None:
    text = '{"v":1,"node":"a","serial":7,"marks":{"12":[]},"hints":[[12,"k3f9",481,"more"]]}'
    assert read(text.encode()) == Message(1, "a", 7, (Hint(12, "k3f9", 481),))


def test_a_version_that_must_not_be_ignored_is_refused() -> None:
    with pytest.raises(IncompatibleMessage, match="version 2 of node b"):
        read(b'{"v":2,"node":"b","serial":7}')


def test_a_message_is_a_text_for_postgresql() -> None:
    (data,) = encode(Sender("a\0", ""), 1, [Hint(1, "\0é", 1)])
    assert "\0" not in data.decode()
    assert json.loads(data)["hints"] == [[1, "\0é", 1]]
