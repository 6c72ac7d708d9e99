"""A model of the session machine: what a client has joined, and what it may send.

It knows what each packet was meant to be, and never reads its text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from msgspec import Raw

from gbs_actor.socketio import ProtocolViolation
from gbs_actor.socketio.membership import (
    AckReceived,
    ConnectReceived,
    DisconnectReceived,
    EventReceived,
    Membership,
    Received,
    UnknownNamespace,
)
from gbs_actor.socketio.packet import EventData

KNOWN: Final = ("/", "/custom", "/한글")
UNKNOWN: Final = ("/other", "/custom/", "/Custom")
MAX_ATTACHMENTS: Final = 3
MAX_BYTES: Final = 50

Auth = dict[str, object] | None

AUTHS: Final[tuple[tuple[str, Auth] | str, ...]] = (
    ("", None), ("{}", {}), ('{"token":"x"}', {"token": "x"}), "[]", "null", "1 ", "{", '"x"',
)  # fmt: skip
"""Payloads of a CONNECT: the good ones with what they mean."""

ARRAYS: Final[tuple[tuple[str] | str, ...]] = (
    ("[]",), ("[1]",), ('["a", {"b": [2]}]',),
    "{}", "", "[1", "null", "]",
)  # fmt: skip
"""Payloads of an ACK; the good ones in a tuple."""

EVENTS: Final[tuple[tuple[str, str, bytes | None] | str, ...]] = (
    ('["e"]', "e", None), ('["e",1,[2]]', "e", b"1"), ("[5]", "5", None),
    ('["\\u0065", {}]', "e", b"{}"),
    "[]", "{}", "", '["connect"]', '["disconnect",1]', "[[]]", '["e"', "null",
)  # fmt: skip
"""Payloads of an EVENT: the good ones with their name and first argument."""

NONSENSE: Final = (
    "",
    "7",
    "a",
    '4{"message":"no"}',
    "4",
    "5",
    "51",
    '5-["e"]',
    "51/custom,",
    "2" + "9" * 17,
)


class Place(Enum):
    """Where a client stands with a namespace."""

    NEVER = "never joined"
    IN = "joined, or on the way"
    OUT = "left"


@dataclass
class Announced:
    """A packet whose attachments are on their way."""

    kind: str
    namespace: str
    ack_id: int | None
    good: bool
    json: str
    name: str
    first: Raw | None
    count: int
    attachments: list[bytes] = field(default_factory=list)


class Violated(Exception):
    """The model says that the connection has to be closed."""


class Model:
    """What a session should do. Each method does one thing to both, and compares.

    :attr:`over` says that the connection was closed: then nothing is asked any more.
    """

    def __init__(self) -> None:
        self.session = Membership(
            frozenset(KNOWN), max_attachments=MAX_ATTACHMENTS, max_attachment_bytes=MAX_BYTES
        )
        self.connection_limit = dict.fromkeys(KNOWN, Place.NEVER)
        self.announced: Announced | None = None
        self.over = False

    def connect(self, namespace: str, auth: tuple[str, Auth] | str) -> None:
        """Send a CONNECT, with a payload that may be none."""
        text, expected = (auth, None) if isinstance(auth, str) else auth

        def outcome() -> Received | None:
            if isinstance(auth, str):
                raise Violated
            if namespace not in KNOWN:
                return UnknownNamespace(namespace)
            if self.connection_limit[namespace] is Place.IN:
                raise Violated
            self.connection_limit[namespace] = Place.IN
            return ConnectReceived(namespace, expected)

        self._say(f"0{_prefix(namespace)}{text}", outcome)

    def leave(self, namespace: str, payload: str = "") -> None:
        """Send a DISCONNECT."""

        def outcome() -> Received | None:
            if not self._is_in(namespace):
                return None
            if payload:
                raise Violated
            self.connection_limit[namespace] = Place.OUT
            return DisconnectReceived(namespace)

        self._say(f"1{_prefix(namespace)}{payload}", outcome)

    def event(
        self,
        namespace: str,
        ack_id: int | None,
        payload: tuple[str, str, bytes | None] | str,
        count: int | None,
    ) -> None:
        """Send an EVENT, or announce one with so many attachments."""
        good = not isinstance(payload, str)
        json, name, first = (payload, "", None) if isinstance(payload, str) else payload
        kept = None if first is None else Raw(first)
        self._send(
            Announced("event", namespace, ack_id, good, json, name, kept, count or 0), 2, count
        )

    def ack(
        self,
        namespace: str,
        ack_id: int | None,
        payload: tuple[str] | str,
        count: int | None,
    ) -> None:
        """Send an ACK, or announce one with so many attachments."""
        good = not isinstance(payload, str)
        json = payload if isinstance(payload, str) else payload[0]
        if ack_id is None and json[:1].isdigit():
            return  # would be an id
        self._send(Announced("ack", namespace, ack_id, good, json, "", None, count or 0), 3, count)

    def attachment(self, payload: bytes) -> None:
        """Send a binary packet."""

        def outcome() -> Received | None:
            coming = self.announced
            if coming is None:
                raise Violated
            coming.attachments.append(payload)
            if sum(map(len, coming.attachments)) > MAX_BYTES:
                raise Violated
            if len(coming.attachments) < coming.count:
                return None
            self.announced = None
            return self._complete(coming)

        self._compare(lambda: self.session.receive_binary(payload), outcome)

    def nonsense(self, text: str) -> None:
        """Send what is no packet at all."""

        def outcome() -> Received | None:
            raise Violated

        self._say(text, outcome)

    def put_out(self, namespace: str) -> None:
        """Have the server take the client out, or refuse it."""
        self.session.leave(namespace)
        self.connection_limit[namespace] = Place.OUT

    def let_in(self) -> None:
        """Have the server let the client in."""
        self.session.accepted()
        assert self.session.ever_joined

    # What should come of it.

    def _send(self, coming: Announced, kind: int, count: int | None) -> None:
        head = f"{kind}" if count is None else f"{kind + 3}{count}-"
        number = "" if coming.ack_id is None else str(coming.ack_id)

        def outcome() -> Received | None:
            if not count:
                return self._complete(coming)
            if count > MAX_ATTACHMENTS or self.connection_limit.get(coming.namespace) in {
                None,
                Place.NEVER,
            }:
                raise Violated
            self.announced = coming
            return None

        self._say(f"{head}{_prefix(coming.namespace)}{number}{coming.json}", outcome)

    def _complete(self, coming: Announced) -> Received | None:
        if not self._is_in(coming.namespace):
            return None
        if not coming.good:
            raise Violated
        attachments = tuple(coming.attachments)
        if coming.kind == "event":
            data = EventData(coming.name, coming.json, coming.first)
            return EventReceived(coming.namespace, coming.ack_id, data, attachments)
        if coming.ack_id is None:
            return None
        return AckReceived(coming.namespace, coming.ack_id, coming.json, attachments)

    def _is_in(self, namespace: str) -> bool:
        place = self.connection_limit.get(namespace, Place.NEVER)
        if place is Place.NEVER:
            raise Violated
        return place is Place.IN

    def _say(self, text: str, outcome: Callable[[], Received | None]) -> None:
        def expected() -> Received | None:
            if self.announced is not None:
                raise Violated
            return outcome()

        padding = "4"  # what stands in front is not the session's
        self._compare(lambda: self.session.receive_text(padding + text, len(padding)), expected)

    def _compare(
        self, act: Callable[[], Received | None], outcome: Callable[[], Received | None]
    ) -> None:
        assert not self.over
        try:
            expected = outcome()
        except Violated:
            self.over = True
        try:
            happened = act()
        except ProtocolViolation as violation:
            assert self.over, f"closed for nothing: {violation.reason}"
            return
        assert not self.over, f"not closed, but {happened}"
        assert happened == expected


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"
