from __future__ import annotations

import pytest

from gbs_actor.testing.peers.packets import ACK, CONNECT, EVENT, Packet, fill, read, write


def test_packets_are_written_as_the_protocols_document_has_them() -> None:
    assert write(CONNECT, "/") == ["40"]
    assert write(CONNECT, "/admin", {"token": "123"}) == ['40/admin,{"token":"123"}']
    assert write(EVENT, "/", ["foo"], ack_id=12) == ['4212["foo"]']
    assert write(ACK, "/admin", [], ack_id=13) == ["43/admin,13[]"]


def test_bytes_become_attachments_and_are_put_back() -> None:
    text, *attachments = write(EVENT, "/a", ["x", {"b": b"\x01"}, [b"\x02"]])
    assert isinstance(text, str)
    packet = read(text)
    assert (packet.type, packet.attachments, attachments) == ("5", 2, [b"\x01", b"\x02"])
    assert fill(packet.data, [b"\x01", b"\x02"]) == ["x", {"b": b"\x01"}, [b"\x02"]]


def test_packets_are_read() -> None:
    assert read('42/admin,7["x",1]') == Packet("2", "/admin", 7, ["x", 1])
    assert read("41") == Packet("1", "/", None, None)


@pytest.mark.parametrize("text", ["9", "47", '42["x"', "42{]"])
def test_what_no_server_may_send_fails_the_test(text: str) -> None:
    with pytest.raises(AssertionError, match=r"no packet of Socket\.IO"):
        read(text)
