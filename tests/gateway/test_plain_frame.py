from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.gateway.plain.frame import Frame, parse_frame


def test_a_frame_is_taken_apart_and_its_data_left_as_they_came() -> None:
    said = parse_frame('{"id": [1, 2] , "event":"\\u0061", "data": {"a" : 1}}')
    assert said == Frame(b"[1, 2]", "a", b'{"a" : 1}')
    assert said.size == len(b"[1, 2]") + len("a") + len(b'{"a" : 1}')


def test_an_absent_id_is_not_null() -> None:
    assert parse_frame('{"event":"a"}').id is None
    assert parse_frame('{"event":"a","id":null}').id == b"null"


def test_of_a_member_that_stands_there_twice_the_later_one_counts() -> None:
    assert parse_frame('{"event":"a","id":1,"event":"b","id":2}') == Frame(b"2", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", Frame(None, problem="The frame is not valid JSON.")),
        ('{"id":1', Frame(None, problem="The frame is not valid JSON.")),
        ('{"id":Infinity}', Frame(None, problem="The frame is not valid JSON.")),
        ("[1]", Frame(None, problem='A frame is one JSON object: {"id"?, "event", "data"}.')),
        ('{"id":1}', Frame(b"1", problem="event is required.")),
        ('{"id":1,"event":null}', Frame(b"1", problem="event must be a string.")),
        ('{"id":' + "[" * 100_000, Frame(None, problem="The frame is nested too deeply.")),
        (
            '{"id":"\\ud800","event":"a"}',
            Frame(b'"\\ufffd"', problem="The frame holds text that is no Unicode."),
        ),
        (
            '{"event":"a","data":"\\udfff"}',
            Frame(None, problem="The frame holds text that is no Unicode."),
        ),
    ],
)
def test_what_is_no_event_has_a_problem(text: str, said: Frame) -> None:
    assert parse_frame(text) == said


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(_JSON, st.text(), _JSON, st.booleans())
def test_every_json_value_is_an_id_and_data(
    identifier: object, event: str, data: object, escaped: bool
) -> None:
    frame = {"id": identifier, "event": event, "data": data}
    try:
        text = json.dumps(frame, ensure_ascii=escaped)
        text.encode()
    except UnicodeEncodeError:
        return  # such text cannot come out of a WebSocket
    said = parse_frame(text)
    assert said.id is not None
    assert json.loads(said.id) == identifier
    if said.problem is None:
        assert said.name == event
        assert said.data is not None
        assert json.loads(said.data) == data
    else:
        assert "\\ud" in text


@given(st.text())
def test_no_text_raises(text: str) -> None:
    said = parse_frame(text)
    assert said.problem
