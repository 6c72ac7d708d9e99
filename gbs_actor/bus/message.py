"""The messages between nodes: JSON, since a notification of PostgreSQL is a text.

Like ``{"v":1,"node":"a","serial":7,"hints":[[12,"k3f9…",481]]}``. What else an object, or an item
behind the three of a hint, has is ignored, so that later versions may add to it. ``v`` rises only
where a receiver must not ignore what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gbs_actor.bus.hints import Hint
from gbs_actor.contract.decoding import decode

MAX_SIZE: Final = 7_000
"""Bytes of a message, at most; a notification of PostgreSQL has less than 8,000."""
_VERSION: Final = 1
_LAST_SERIAL: Final = 2**63 - 1


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one node sends to all others."""

    version: int = msgspec.field(name="v")
    node: str
    """The one that sent it."""
    serial: int
    """One higher than that of the node's previous message. Any other one is a gap: a message was
    lost, or the node has skipped a serial, since it had hints that it did not send."""
    hints: tuple[Hint, ...] = ()
    """None in a heartbeat."""


_decoder: Final = msgspec.json.Decoder(Message)
_encode: Final = msgspec.json.Encoder().encode


class IncompatibleMessage(Exception):
    """A message is of a version that cannot be read here."""


def encode(node: str, serial: int, hints: Sequence[Hint]) -> list[bytes]:
    """Return hints as messages of at most :data:`MAX_SIZE` bytes; at least one, maybe empty.

    A hint that is larger than that alone has a message of its own.

    :param serial: of the first message.
    """
    space = MAX_SIZE - len(_encode(Message(_VERSION, node, _LAST_SERIAL))) - len(b',"hints":[]')
    parts: list[list[Hint]] = [[]]
    size = 0
    for hint in hints:
        length = len(_encode(hint)) + 1  # and a comma
        if size + length > space and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append(hint)
        size += length
    return [
        _encode(Message(_VERSION, node, serial + index, tuple(part)))
        for index, part in enumerate(parts)
    ]


def read(data: bytes) -> Message:
    """Return the message in what has arrived.

    :raises InvalidPayload: it is none.
    :raises IncompatibleMessage: its version is newer than this one.
    """
    message = decode(data, _decoder)
    if message.version > _VERSION:
        raise IncompatibleMessage(f"version {message.version} of node {message.node}")
    return message
