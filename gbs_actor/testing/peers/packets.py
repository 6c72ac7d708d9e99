"""Packets of Socket.IO v5 inside those of Engine.IO v4, as a client writes and reads them.

Written after the two protocols' documents, without a line of the server's, so that a test has two
independent peers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gbs_actor.testing.peers.messages import Json

CONNECT: Final = "0"
DISCONNECT: Final = "1"
EVENT: Final = "2"
ACK: Final = "3"
CONNECT_ERROR: Final = "4"
BINARY_EVENT: Final = "5"
BINARY_ACK: Final = "6"

_PACKET: Final = re.compile(
    r"4(?P<type>[0-6])(?:(?P<attachments>[0-9]+)-)?(?:(?P<namespace>/[^,]*),?)?"
    r"(?P<ack_id>[0-9]*)(?P<json>.*)",
    re.DOTALL,
)


@dataclass(slots=True)
class Packet:
    """One packet of Socket.IO."""

    type: str
    namespace: str
    ack_id: int | None
    data: Json
    attachments: int = 0
    """How many binary messages follow it."""


def write(
    kind: str, namespace: str, data: Json = None, *, ack_id: int | None = None
) -> list[str | bytes]:
    """Return the messages of a packet: the text, and its attachments.

    :param kind: an event, or an ack, becomes binary by itself.
    :param data: JSON, with bytes in it perhaps; ``None``: nothing.
    """
    attachments: list[bytes] = []
    placed = _place(data, attachments)
    count = ""
    if attachments:
        kind = BINARY_EVENT if kind == EVENT else BINARY_ACK
        count = f"{len(attachments)}-"
    space = "" if namespace == "/" else f"{namespace},"
    number = "" if ack_id is None else str(ack_id)
    json = "" if data is None else msgspec.json.encode(placed).decode()
    return [f"4{kind}{count}{space}{number}{json}", *attachments]


def read(text: str) -> Packet:
    """Read the text of a packet; its attachments are still to come.

    :raises AssertionError: it is no packet that a server may send.
    """
    match = _PACKET.fullmatch(text)
    if match is None:
        raise AssertionError(f"no packet of Socket.IO: {text[:200]!r}")
    try:
        data = msgspec.json.decode(match["json"]) if match["json"] else None
    except msgspec.DecodeError as error:
        raise AssertionError(f"no packet of Socket.IO ({error}): {text[:200]!r}") from None
    return Packet(
        match["type"],
        match["namespace"] or "/",
        int(match["ack_id"]) if match["ack_id"] else None,
        data,
        int(match["attachments"] or 0),
    )


def fill(data: Json, attachments: Sequence[bytes]) -> Json:
    """Return the data of a packet with its attachments in their places."""
    match data:
        case {"_placeholder": True, "num": int(number)}:
            return attachments[number]
        case dict():
            return {key: fill(value, attachments) for key, value in data.items()}
        case list():
            return [fill(value, attachments) for value in data]
    return data


def _place(data: Json, attachments: list[bytes]) -> Json:
    """Return the data with placeholders, and add what they stand for."""
    match data:
        case bytes():
            attachments.append(data)
            return {"_placeholder": True, "num": len(attachments) - 1}
        case dict():
            return {key: _place(value, attachments) for key, value in data.items()}
        case list() | tuple():
            return [_place(value, attachments) for value in data]
    return data
