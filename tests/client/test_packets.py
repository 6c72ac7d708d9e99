from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.client import packets

NAMESPACE = "/gbs-lineup"


def test_an_acknowledgement_keeps_its_id_zero() -> None:
    assert packets.parse('43/gbs-lineup,0[{"status":"OK"}]', NAMESPACE) == packets.Ack(
        0, (msgspec.Raw(b'{"status":"OK"}'),)
    )


def test_an_event_of_another_namespace_is_nothing_to_us() -> None:
    assert packets.parse('42/other,["x"]', NAMESPACE) == packets.Noop()


def test_an_event_of_the_main_namespace_is_nothing_to_us() -> None:
    assert packets.parse('42["x"]', NAMESPACE) == packets.Noop()


def test_a_refusal_carries_message_and_code() -> None:
    frame = '44/gbs-lineup,{"message":"Invalid token","data":{"code":"INVALID_TOKEN"}}'
    assert packets.parse(frame, NAMESPACE) == packets.ConnectError(
        "Invalid token", packets.ConnectErrorData("INVALID_TOKEN")
    )


def test_a_refusal_without_data_has_no_code() -> None:
    frame = '44/gbs-lineup,{"message":"Invalid namespace"}'
    assert packets.parse(frame, NAMESPACE) == packets.ConnectError("Invalid namespace")


def test_a_ping_is_answered_with_its_own_data() -> None:
    ping = packets.parse("2probe", NAMESPACE)
    assert isinstance(ping, packets.Ping)
    assert packets.pong(ping) == "3probe"


def test_the_end_of_the_namespace_may_lack_its_comma() -> None:
    assert packets.parse("41/gbs-lineup", NAMESPACE) == packets.Disconnect()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "7",
        "0{}",
        "0",
        "42/gbs-lineup,[]",
        "42/gbs-lineup,{}",
        "43/gbs-lineup,[]",
        "49/gbs-lineup,",
    ],
)
def test_what_no_server_may_send_is_refused(frame: str) -> None:
    with pytest.raises(packets.BadPacket):
        packets.parse(frame, NAMESPACE)


@given(st.text())
def test_any_text_is_read_or_refused(frame: str) -> None:
    try:
        packets.parse(frame, NAMESPACE)
    except packets.BadPacket:
        return


@given(
    st.integers(0, 10**9),
    st.text(min_size=1),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ),
)
def test_an_event_reads_back_as_it_was_written(ack_id: int, name: str, argument: object) -> None:
    frame = packets.event(NAMESPACE, ack_id, name, argument)
    head = f"42{NAMESPACE},{ack_id}"
    assert frame.startswith(head)
    read = packets.parse("42" + NAMESPACE + "," + frame[len(head) :], NAMESPACE)
    assert isinstance(read, packets.Event)
    assert read.name == name
    assert [msgspec.json.decode(it) for it in read.arguments] == [argument]
