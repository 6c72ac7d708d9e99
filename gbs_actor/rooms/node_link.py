"""What the bus brings from the other servers, handed to the rooms that it is about."""

from __future__ import annotations

from collections.abc import Mapping

from gbs_actor.bus import Bus
from gbs_actor.rooms.anti_entropy import AntiEntropy
from gbs_actor.rooms.handle import RoomHandle


class NodeLink:
    """Lets rooms catch up as soon as the bus has hints about them.

    :param bus: run by others.
    :param handles: the open rooms, by slug.
    :param anti_entropy: compares all rooms where hints may have been lost.
    """

    def __init__(
        self, bus: Bus, handles: Mapping[str, RoomHandle], anti_entropy: AntiEntropy
    ) -> None:
        self._bus = bus
        self._handles = handles
        self._anti_entropy = anti_entropy

    async def follow(self) -> None:
        """Pass hints on until cancelled."""
        while True:
            hints = await self._bus.next()
            if hints.gap:
                await self._anti_entropy.try_compare()
            rooms = {
                version.id: room
                for room in self._handles.values()
                if (version := room.version) is not None
            }
            for hint in hints.latest:
                if (hinted := rooms.get(hint.retreat_id)) is not None:
                    hinted.heed(hint)
