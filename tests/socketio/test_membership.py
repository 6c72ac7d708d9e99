"""What a client may say, and when: the session without I/O, clock or task."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gbs_actor.socketio import ProtocolViolation
from gbs_actor.socketio.membership import Membership
from gbs_actor.socketio.packet import EventData
from gbs_actor.socketio.received import (
    AckReceived,
    ConnectReceived,
    DisconnectReceived,
    EventReceived,
    UnknownNamespace,
)


@pytest.fixture
def session() -> Membership:
    return Membership({"/", "/custom"}, max_attachments=2, max_attachment_bytes=1_000_000)


@pytest.fixture
def joined(session: Membership) -> Membership:
    session.receive_text("0")
    session.accepted()
    return session


def test_a_connect_asks_to_join_with_its_auth(session: Membership) -> None:
    assert session.receive_text('0/custom,{"token":"x"}') == ConnectReceived(
        "/custom", {"token": "x"}
    )


def test_a_connect_without_a_payload_has_no_auth(session: Membership) -> None:
    assert session.receive_text("0") == ConnectReceived("/", None)


def test_the_comma_may_be_missing(session: Membership) -> None:
    assert session.receive_text("0/custom") == ConnectReceived("/custom", None)


def test_an_unknown_namespace_is_told_apart(session: Membership) -> None:
    assert session.receive_text("0/random,") == UnknownNamespace("/random")


def test_an_unknown_namespace_may_be_asked_for_again(session: Membership) -> None:
    session.receive_text("0/random,")
    assert session.receive_text("0/random,") == UnknownNamespace("/random")


def test_a_second_connect_to_a_joined_namespace_is_a_violation(joined: Membership) -> None:
    with pytest.raises(ProtocolViolation):
        joined.receive_text("0")


def test_a_second_connect_while_the_first_is_under_way_is_a_violation(session: Membership) -> None:
    session.receive_text("0")
    with pytest.raises(ProtocolViolation):
        session.receive_text("0")


def test_another_namespace_may_be_joined_besides(joined: Membership) -> None:
    assert joined.receive_text("0/custom,") == ConnectReceived("/custom", None)


def test_a_namespace_that_was_left_may_be_joined_again(joined: Membership) -> None:
    assert joined.receive_text("1") == DisconnectReceived("/")
    assert joined.receive_text("0") == ConnectReceived("/", None)


@pytest.mark.parametrize("packet", ['2["e"]', '30["e"]', "1", '20["e"]'])
def test_packets_for_a_namespace_that_was_left_are_ignored(joined: Membership, packet: str) -> None:
    joined.receive_text("1")
    assert joined.receive_text(packet) is None


def test_packets_for_a_namespace_that_the_server_ended_are_ignored(joined: Membership) -> None:
    joined.leave("/")
    assert joined.receive_text('2["e"]') is None


@pytest.mark.parametrize(
    "packet", ['2/custom,["e"]', '3/custom,0["e"]', "1/custom,", '51-/custom,["e"]']
)
def test_packets_for_a_namespace_never_joined_are_violations(
    joined: Membership, packet: str
) -> None:
    with pytest.raises(ProtocolViolation):
        joined.receive_text(packet)


def test_events_behind_an_unanswered_connect_belong_to_it(session: Membership) -> None:
    session.receive_text("0")
    assert session.receive_text('2["e",1]') == EventReceived(
        "/", None, EventData("e", '["e",1]', Raw(b"1"))
    )


def test_the_ack_id_zero_is_one(joined: Membership) -> None:
    assert joined.receive_text('20["e"]') == EventReceived("/", 0, EventData("e", '["e"]'))


def test_a_refused_connect_does_not_count_as_joined(session: Membership) -> None:
    session.receive_text("0")
    session.leave("/")
    assert not session.ever_joined


def test_leaving_does_not_undo_that_a_namespace_was_joined(joined: Membership) -> None:
    joined.receive_text("1")
    assert joined.ever_joined


@pytest.mark.parametrize(
    "packet",
    ["", "7", "abc", "4", '4{"message":"x"}'],
)
def test_an_unexpected_packet_is_a_violation(joined: Membership, packet: str) -> None:
    with pytest.raises(ProtocolViolation):
        joined.receive_text(packet)


@pytest.mark.parametrize(
    "packet",
    [
        "2",
        "2{}",
        '2"e"',
        "2[]",
        "2[{}]",
        '2abc["e"]',
        '2["disconnect"]',
        "3",
        "30{}",
        '1"x"',
        "1{}",
    ],
)
def test_a_wrong_payload_is_a_violation(joined: Membership, packet: str) -> None:
    with pytest.raises(ProtocolViolation):
        joined.receive_text(packet)


@pytest.mark.parametrize("payload", ["[]", "true", '"x"', "{", "null"])
def test_a_connect_payload_has_to_be_an_object(session: Membership, payload: str) -> None:
    with pytest.raises(ProtocolViolation):
        session.receive_text("0" + payload)


def test_a_connect_payload_may_be_long_but_not_full_of_values(session: Membership) -> None:
    assert session.receive_text('0/custom,{"token":"' + "x" * 900_000 + '"}') is not None
    with pytest.raises(ProtocolViolation) as refused:
        session.receive_text('0{"token":[{}' + ",{}" * 2_500 + "]}")
    assert refused.value.code == 1009


def test_an_acknowledgement_is_told_with_its_values_undecoded(joined: Membership) -> None:
    assert joined.receive_text('33["a",{"b": 1}]') == AckReceived("/", 3, '["a",{"b": 1}]')


def test_a_binary_event_is_complete_with_its_last_attachment(joined: Membership) -> None:
    assert joined.receive_text('52-1["e",{"_placeholder":true,"num":0}]') is None
    assert joined.receive_binary(b"a") is None
    received = joined.receive_binary(b"b")
    assert isinstance(received, EventReceived)
    assert received.attachments == (b"a", b"b")
    assert received.ack_id == 1


def test_text_in_the_middle_of_attachments_is_a_violation(joined: Membership) -> None:
    joined.receive_text('51-["e",{"_placeholder":true,"num":0}]')
    with pytest.raises(ProtocolViolation):
        joined.receive_text('2["e"]')


def test_an_attachment_that_was_not_announced_is_a_violation(joined: Membership) -> None:
    with pytest.raises(ProtocolViolation):
        joined.receive_binary(b"a")


def test_more_attachments_than_allowed_are_a_violation(joined: Membership) -> None:
    with pytest.raises(ProtocolViolation):
        joined.receive_text('53-["e"]')


@pytest.mark.parametrize("text", ["2{}", '2["x",', "2[]", '3["x"]', "1{}"])
def test_of_what_comes_for_a_namespace_that_was_left_not_even_the_json_is_read(text: str) -> None:
    session = Membership({"/"}, max_attachments=2, max_attachment_bytes=1_000_000)
    session.receive_text("0")
    session.leave("/")
    assert session.receive_text(text) is None


_NAMES = st.text(max_size=6) | st.sampled_from(["connect", "edit", "\\", '"', "\ud83d", "한"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_ODD = {
    "kind": ["3", "51-", "1", "0", "4", "9", ""],
    "namespace": ["", "/custom,", "/other,", "/custom", "/,"],
    "ack_id": ["9" * 17, "٣", "²", "-1", "1_0", " 1", "1 "],
    "array": ["[", "]", "[]", '["a"', '["a",]', "{}", " [1]", '["\\ud800"]', "", "[1]", '["a",[}]'],
    "rest": [" ", "x", "["],
}


@st.composite
def _packets(draw: st.DrawFn) -> str:
    """Draw a packet that is mostly a good event, with one odd part at most."""
    name = json.dumps(draw(_NAMES), ensure_ascii=draw(st.booleans()))
    values = json.dumps(draw(st.lists(_JSON, max_size=2)))[1:-1]
    parts = {
        "kind": "2",
        "namespace": draw(st.sampled_from(["", "/custom,"])),
        "ack_id": draw(st.sampled_from(["", "0", "7", "12345", "9" * 16])),
        "array": f"[{name}{',' * bool(values)}{values}]",
        "rest": "",
    }
    odd = draw(st.sampled_from([None, None, *_ODD]))
    if odd is not None:
        parts[odd] = draw(st.sampled_from(_ODD[odd]))
    return "".join(parts.values())


@given(
    joined=st.sampled_from([("/", "/custom"), ("/custom", "/"), ("/custom",), ()]),
    left=st.sampled_from([None, None, "/", "/custom"]),
    packets=st.lists(_packets(), min_size=3, max_size=12),
)
def test_a_usual_event_is_decoded_at_once_as_it_is_step_by_step(
    joined: tuple[str, ...], left: str | None, packets: list[str]
) -> None:
    session = Membership({"/", "/custom"}, max_attachments=2, max_attachment_bytes=1_000)
    for namespace in joined:
        session.receive_text("0" if namespace == "/" else f"0{namespace},")
    if left is not None:
        session.leave(left)
    for packet in packets:
        event = session.receive_usual(f"4{packet}", 1)
        try:
            received = session.receive_text(packet)
        except ProtocolViolation:
            assert event is None
            continue
        if event is not None:
            assert event == received
            assert isinstance(received, EventReceived)
            assert _first(event) == _first(received)


def _first(event: EventReceived) -> bytes | None:
    return None if event.data.first is None else bytes(event.data.first)


@pytest.mark.parametrize("namespace", ["", "/custom,"])
def test_the_usual_event_is_the_one_of_the_first_namespace(
    session: Membership, namespace: str
) -> None:
    session.receive_text(f"0{namespace}")
    text = f'42{namespace}17["edit",{{"id":1}}]'
    event = session.receive_usual(text, 1)
    assert event is not None
    assert (event.ack_id, event.data.name, _first(event)) == (17, "edit", b'{"id":1}')
    session.receive_text(f"1{namespace}")
    assert session.receive_usual(text, 1) is None


@pytest.mark.parametrize(
    "packet",
    [
        '2["connect"]',
        '2٣["a"]',
        '2²["a"]',
        f'2{"9" * 17}["a"]',
        '2-1["a"]',
        '2"a"]',
        "212",
        "2[1]",
        '2["\\ud800"]',
        '2["a",[}]',
        '2/custom,["a"]',
        '3["a"]',
    ],
)
def test_what_is_no_usual_event_is_left_to_the_slower_way(joined: Membership, packet: str) -> None:
    assert joined.receive_usual(packet) is None


def test_no_event_is_usual_while_attachments_are_missing(joined: Membership) -> None:
    joined.receive_text('51-["a",{"_placeholder":true,"num":0}]')
    assert joined.receive_usual('2["a"]') is None
