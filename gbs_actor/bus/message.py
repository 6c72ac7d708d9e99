"""The messages between nodes: JSON, since a notification of PostgreSQL is a text.

Like ``{"v":1,"node":"a","serial":7,"run":"x7Qe…","hints":[[12,"k3f9…",481]]}``. What else an
object, or an item behind those that an array has here, is ignored, so that later versions may add
to it. ``v`` rises only where a receiver must not ignore what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gbs_actor.bus.fields import Integer, Short
from gbs_actor.bus.hints import Hint
from gbs_actor.bus.presence import ConnectionMark, People, Record, Request
from gbs_actor.contract.decoding import InvalidPayload, decode

MAX_SIZE: Final = 7_000
"""Bytes of a message, at most; a notification of PostgreSQL has less than 8,000."""
MAX_READ: Final = 65_536
"""Bytes of a message that is read."""
_VERSION: Final = 1
_LAST_SERIAL: Final = 2**63 - 1


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one node sends to all others."""

    version: int = msgspec.field(name="v")
    node: Short
    """The one that sent it."""
    serial: Integer
    """One higher than that of the node's previous message. Any other one is a gap: a message was
    lost, or the node has skipped a serial, since it had something that it did not send."""
    hints: tuple[Hint, ...] = ()
    """None in a heartbeat."""
    run: Short = ""
    """Another one each time that the node starts, where serials start anew; "" of a version that
    sends hints alone."""
    people: tuple[People, ...] = ()
    """Read before :attr:`editing`, whatever the order in which they came."""
    editing: tuple[ConnectionMark, ...] = ()
    wanted: tuple[Request, ...] = ()
    leaves: bool = False
    """Whether the node ends, and sends nothing more."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What all messages of a node begin with."""

    node: str
    run: str


class _Parts(msgspec.Struct, omit_defaults=True):
    """A message as it is put together."""

    version: int = msgspec.field(name="v")
    node: str
    serial: int
    run: str = ""
    hints: list[msgspec.Raw] = []
    people: list[msgspec.Raw] = []
    editing: list[msgspec.Raw] = []
    wanted: list[msgspec.Raw] = []
    leaves: bool = False

    def list_of(self, item: Hint | Record) -> list[msgspec.Raw]:
        """Return where an item goes."""
        match item:
            case Hint():
                return self.hints
            case People():
                return self.people
            case ConnectionMark():
                return self.editing
            case Request():
                return self.wanted


_decoder: Final = msgspec.json.Decoder(Message)
_encode: Final = msgspec.json.Encoder().encode
_LISTS: Final = len(b',"hints":[],"people":[],"editing":[],"wanted":[]')


class IncompatibleMessage(Exception):
    """A message is of a version that cannot be read here."""


def encode(
    sender: Sender,
    serial: int,
    hints: Iterable[Hint],
    records: Sequence[tuple[Record, bytes]] = (),
    *,
    leaves: bool = False,
) -> list[bytes]:
    """Return messages of at most :data:`MAX_SIZE` bytes; at least one, maybe empty.

    What is larger than that alone has a message of its own.

    :param serial: of the first message.
    :param records: with their JSON; behind the hints.
    :param leaves: of the last message.
    """

    def begin(serial: int) -> _Parts:
        return _Parts(_VERSION, sender.node, serial, sender.run)

    header = _encode(msgspec.structs.replace(begin(_LAST_SERIAL), leaves=True))
    space = MAX_SIZE - len(header) - _LISTS
    parts = [begin(serial)]
    size = 0
    edited: set[int] = set()
    items: Iterable[tuple[Hint | Record, bytes]] = (
        *((hint, _encode(hint)) for hint in hints),
        *records,
    )
    for item, data in items:
        length = len(data) + 1  # and a comma
        # A message is read people first: those behind a mark of theirs go into the next one.
        behind = isinstance(item, People) and item.retreat_id in edited
        if size and (size + length > space or behind):
            parts.append(begin(serial + len(parts)))
            size = 0
            edited.clear()
        if isinstance(item, ConnectionMark):
            edited.add(item.retreat_id)
        parts[-1].list_of(item).append(msgspec.Raw(data))
        size += length
    parts[-1].leaves = leaves
    return [_encode(part) for part in parts]


def read(data: bytes) -> Message:
    """Return the message in what has arrived.

    :raises InvalidPayload: it is none, or too long.
    :raises IncompatibleMessage: its version is newer than this one.
    """
    if len(data) > MAX_READ:
        raise InvalidPayload("", f"more than {MAX_READ} bytes")
    message = decode(data, _decoder)
    if message.version > _VERSION:
        raise IncompatibleMessage(f"version {message.version} of node {message.node}")
    return message
