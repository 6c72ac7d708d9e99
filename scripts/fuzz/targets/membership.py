"""What a client has joined and may therefore send, against a model that never reads packets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
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
from scripts.fuzz.running import Target

Payload = tuple[str, Any]
"""JSON, and what it means."""

_KNOWN: Final = ("/", "/custom", "/한글")
_UNKNOWN: Final = ("/other", "/custom/", "/Custom")
_MAX_ATTACHMENTS: Final = 3
_MAX_BYTES: Final = 50
_BAD: Final = object()
"""Means that the connection has to be closed."""
_AUTHS: Final[tuple[Payload, ...]] = (
    ("", None), ("{}", {}), ('{"token":"x"}', {"token": "x"}),
    ("[]", _BAD), ("null", _BAD), ("1 ", _BAD), ("{", _BAD), ('"x"', _BAD),
)  # fmt: skip
_EVENTS: Final = (
    ('["e"]', ("e", None)), ('["e",1,[2]]', ("e", Raw(b"1"))), ("[5]", ("5", None)),
    ('["\\u0065", {}]', ("e", Raw(b"{}"))),
    ("[]", _BAD), ("{}", _BAD), ("", _BAD), ('["connect"]', _BAD), ('["disconnect",1]', _BAD),
    ("[[]]", _BAD), ('["e"', _BAD), ("null", _BAD),
)  # fmt: skip
"""They mean a name and a first argument."""
_ACKS: Final = (
    ("[]", ()), ("[1]", ()), ('["a", {"b": [2]}]', ()),
    ("{}", _BAD), ("", _BAD), ("[1", _BAD), ("null", _BAD), ("]", _BAD),
)  # fmt: skip
_MALFORMED: Final = (
    "", "7", "a", '4{"message":"no"}', "4", "5", "51", '5-["e"]', "51/custom,", "2" + "9" * 17,
)  # fmt: skip


def _mostly_good(payloads: tuple[Payload, ...]) -> st.SearchStrategy[Payload]:
    """Draw bad payloads seldom: each ends the connection."""
    good = [payload for payload in payloads if payload[1] is not _BAD]
    return st.sampled_from(good * 10 + list(payloads))


_NAMESPACES: Final = st.sampled_from(_KNOWN * 6 + _UNKNOWN)
_ACK_IDS: Final = st.none() | st.integers(0, 10**16 - 1)
_COUNTS: Final = st.sampled_from((None,) * 8 + (0, 1, 1, 2, 2, 3, 3, 4))


@dataclass
class _Packet:
    """An EVENT or ACK whose attachments may be on their way."""

    namespace: str
    make: Callable[[tuple[bytes, ...]], Any]
    """Given the attachments, returns what the packet means."""
    count: int
    attachments: list[bytes] = field(default_factory=list)


_idle: Final = precondition(lambda self: self._unfinished is None)


class MembershipMachine(RuleBasedStateMachine):
    """Sends anything until that closes the connection, then begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self._begin()

    def _begin(self) -> None:
        self._membership = Membership(
            frozenset(_KNOWN), max_attachments=_MAX_ATTACHMENTS, max_attachment_bytes=_MAX_BYTES
        )
        self._joined: dict[str, bool] = {}
        """Namespaces that the client has ever been in; whether it is there now."""
        self._unfinished: _Packet | None = None

    @_idle
    @rule(namespace=_NAMESPACES, auth=_mostly_good(_AUTHS))
    def connect(self, namespace: str, auth: Payload) -> None:
        json, meaning = auth
        if meaning is _BAD or self._joined.get(namespace):
            expected = _BAD
        elif namespace in _KNOWN:
            expected = ConnectReceived(namespace, meaning)
        else:
            expected = UnknownNamespace(namespace)
        if self._send(f"0{_prefix(namespace)}{json}", expected) and namespace in _KNOWN:
            self._joined[namespace] = True

    @_idle
    @rule(namespace=_NAMESPACES, payload=st.sampled_from(("",) * 9 + ('"x"', "{}")))
    def disconnect(self, namespace: str, payload: str) -> None:
        expected = self._if_joined(namespace, _BAD if payload else DisconnectReceived(namespace))
        if self._send(f"1{_prefix(namespace)}{payload}", expected):
            self._joined[namespace] = False

    @_idle
    @rule(namespace=_NAMESPACES, ack_id=_ACK_IDS, payload=_mostly_good(_EVENTS), count=_COUNTS)
    def event(
        self, namespace: str, ack_id: int | None, payload: Payload, count: int | None
    ) -> None:
        json, meaning = payload

        def make(attachments: tuple[bytes, ...]) -> Any:
            if meaning is _BAD:
                return _BAD
            data = EventData(meaning[0], json, meaning[1])
            return EventReceived(namespace, ack_id, data, attachments)

        self._send_packet(2, ack_id, json, count, _Packet(namespace, make, count or 0))

    @_idle
    @rule(namespace=_NAMESPACES, ack_id=_ACK_IDS, payload=_mostly_good(_ACKS), count=_COUNTS)
    def ack(self, namespace: str, ack_id: int | None, payload: Payload, count: int | None) -> None:
        json, meaning = payload

        def make(attachments: tuple[bytes, ...]) -> Any:
            if meaning is _BAD or ack_id is None:
                return meaning if meaning is _BAD else None
            return AckReceived(namespace, ack_id, json, attachments)

        self._send_packet(3, ack_id, json, count, _Packet(namespace, make, count or 0))

    def _send_packet(
        self, kind: int, ack_id: int | None, json: str, count: int | None, packet: _Packet
    ) -> None:
        head = f"{kind}" if count is None else f"{kind + 3}{count}-"
        number = "" if ack_id is None else str(ack_id)
        if not count:
            expected = self._if_joined(packet.namespace, packet.make(()))
        elif count > _MAX_ATTACHMENTS or packet.namespace not in self._joined:
            expected = _BAD
        else:
            expected = None
        if self._send(f"{head}{_prefix(packet.namespace)}{number}{json}", expected) and count:
            self._unfinished = packet

    @precondition(lambda self: self._unfinished is not None)
    @rule(size=st.sampled_from((0, 1, 16, 17, 25, 50)))
    def attachment(self, size: int) -> None:
        payload = b"x" * size
        packet = self._unfinished
        assert packet is not None
        packet.attachments.append(payload)
        if sum(map(len, packet.attachments)) > _MAX_BYTES:
            expected = _BAD
        elif len(packet.attachments) < packet.count:
            expected = None
        else:
            expected = self._if_joined(packet.namespace, packet.make(tuple(packet.attachments)))
            self._unfinished = None
        self._compare(lambda: self._membership.receive_binary(payload), expected)

    @rule(text=st.sampled_from(_MALFORMED), seldom=st.integers(0, 9))
    def violate(self, text: str, seldom: int) -> None:
        if seldom == 9:
            self._send(text, _BAD)
        elif seldom == 8 and self._unfinished is None:
            self._compare(lambda: self._membership.receive_binary(b""), _BAD)
        elif seldom == 8:
            self._send("0/other,", _BAD)  # good, were no attachments due

    @rule(namespace=st.sampled_from(_KNOWN))
    def server_leaves(self, namespace: str) -> None:
        self._membership.leave(namespace)
        self._joined[namespace] = False

    @rule()
    def server_accepts(self) -> None:
        self._membership.accepted()
        assert self._membership.ever_joined

    def _if_joined(self, namespace: str, meaning: Any) -> Any:
        """Return what a packet for a namespace means; nothing where the client has left."""
        if namespace not in self._joined:
            return _BAD
        return meaning if self._joined[namespace] else None

    def _send(self, text: str, expected: Any) -> bool:
        """Send text; return whether the connection lives on."""
        usual = self._membership.receive_usual(f"4{text}", 1)
        assert usual is None or usual == expected, f"not what is expected, but {usual}"
        return self._compare(lambda: self._membership.receive_text(f"4{text}", 1), expected)

    def _compare(self, act: Callable[[], Any], expected: Any) -> bool:
        try:
            happened = act()
        except ProtocolViolation as violation:
            assert expected is _BAD, f"closed without need: {violation.reason}"
            self._begin()
            return False
        assert expected is not _BAD, f"not closed, but {happened}"
        assert happened == expected
        return True


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


TARGET = Target("membership", MembershipMachine, slice=60)
