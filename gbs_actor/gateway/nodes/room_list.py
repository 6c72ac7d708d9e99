"""The rooms of a node as bytes that can be stored every second: compressed, in parts."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Final

import msgspec
import trio
from msgspec import Meta

from gbs_actor.contract.decoding import InvalidPayload, decode
from gbs_actor.environment import Environment
from gbs_actor.rooms import RoomSummary
from gbs_actor.store.nodes import MAX_ROOMS

SHARE: Final = 0.01
"""Of the thread's time that the list may take; what takes longer is made less often."""
LONGEST: Final = 10.0
"""Seconds from one list to the next, at most."""
_PART: Final = 50
"""Rooms that are summed up, or decoded, before other tasks run."""
_MAX_PART: Final = 1_000_000
"""Bytes of a part that is no longer compressed, at most."""
_MAX_PARTS: Final = 400
"""Of a list: more rooms than a node has."""
_MAX_TEXT: Final = 32 * 2**20
"""Bytes of all parts of a list that are no longer compressed, at most."""

_parts: Final = msgspec.msgpack.Decoder(Annotated[list[bytes], Meta(max_length=_MAX_PARTS)])
_rooms: Final = msgspec.json.Decoder(Annotated[tuple[RoomSummary, ...], Meta(max_length=_PART)])


class RoomList:
    """Makes the list of this node's rooms, as often as it is cheap.

    :param rooms: yields them, each as it is then.
    """

    def __init__(
        self, rooms: Callable[[], Iterator[RoomSummary]], environment: Environment
    ) -> None:
        self._rooms = rooms
        self._thread_time = environment.thread_time
        self._due = trio.current_time()

    async def encoded_if_due(self) -> bytes | None:
        """Return the list as it is stored; ``None``: the former one is to stay."""
        if trio.current_time() < self._due:
            await trio.lowlevel.checkpoint()
            return None
        began_at, began = trio.current_time(), self._thread_time()
        encoded = await encode(self._rooms())
        took = self._thread_time() - began  # with what other tasks do meanwhile
        self._due = began_at + min(LONGEST, took / SHARE)
        return encoded


async def encode(rooms: Iterator[RoomSummary]) -> bytes:
    """Return rooms as they are stored; those beyond its size are left out."""
    parts: list[bytes] = []
    size, left = 0, _MAX_TEXT
    while some := tuple(islice(rooms, _PART)):
        text = msgspec.json.encode(some)
        part = zlib.compress(text, 1)
        size += len(part) + 5
        left -= len(text)
        if size > MAX_ROOMS - 5 or left < 0 or len(parts) == _MAX_PARTS:
            break
        parts.append(part)
        await trio.lowlevel.checkpoint()
    return msgspec.msgpack.encode(parts)


async def decode_rooms(stored: bytes, node: str) -> list[RoomSummary]:
    """Return the rooms of a node; none if one cannot be read, or they are too much for a list.

    :param stored: as another node has stored it, maybe of another version; or anything.
    :param node: its name, which they get.
    """
    rooms: list[RoomSummary] = []
    left = _MAX_TEXT
    try:
        for part in _parts.decode(stored) if len(stored) <= MAX_ROOMS else ():
            text = zlib.decompressobj().decompress(part, _MAX_PART)
            left -= len(text)
            if left < 0:
                return []
            some = decode(text, _rooms)
            rooms.extend(msgspec.structs.replace(room, node=node) for room in some)
            await trio.lowlevel.checkpoint()
    except (msgspec.MsgspecError, zlib.error, InvalidPayload):
        await trio.lowlevel.checkpoint()
        return []
    return rooms
