"""What a client's packets are decoded to, once they are checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gbs_actor.socketio.packet import EventData


@dataclass(frozen=True, slots=True)
class ConnectReceived:
    """The client asks to join a namespace."""

    namespace: str
    auth: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class UnknownNamespace:
    """The client asks to join a namespace that does not exist."""

    namespace: str


@dataclass(frozen=True, slots=True)
class DisconnectReceived:
    """The client leaves a namespace."""

    namespace: str


class EventReceived(msgspec.Struct, frozen=True, gc=False):
    """The client emits an event."""

    namespace: str
    ack_id: int | None
    data: EventData
    attachments: tuple[bytes, ...] = ()


class AckReceived(msgspec.Struct, frozen=True):
    """The client acknowledges an event."""

    namespace: str
    ack_id: int
    json: str
    """The array of its values, not decoded."""
    attachments: tuple[bytes, ...] = ()


Received = ConnectReceived | UnknownNamespace | DisconnectReceived | EventReceived | AckReceived


class UsualHead(msgspec.Struct, array_like=True, gc=False):
    """The start of an event's array, if its name is a text."""

    name: str
    first: Raw | UnsetType = UNSET
