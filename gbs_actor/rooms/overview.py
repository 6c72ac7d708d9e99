"""All rooms at a glance: how many there are, what they have counted, which have most to do."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import trio

from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.room_statistics import state_of
from gbs_actor.rooms.statistics import RoomState

_RATE_TIME: Final = 60.0
"""Seconds over which a room's rate is taken, at most."""
_ROOMS_PER_TURN: Final = 250
"""Rooms that are read, in a millisecond or two, before other tasks run."""


class RoomTotals(NamedTuple):
    """What rooms have counted, those that have closed included."""

    accepted: int = 0
    rejected: int = 0
    repeated: int = 0
    refused_busy: int = 0
    unknown_outcomes: int = 0
    stale_commits: int = 0
    restarts: int = 0
    deliveries: int = 0
    """How often a subscriber was handed rows; those that go together count once."""

    def plus(self, rooms: Collection[RoomHandle]) -> RoomTotals:
        """Return these together with those of some rooms."""
        return RoomTotals(
            *(
                before + sum([getattr(room, name) for room in rooms])
                for name, before in zip(self._fields, self, strict=True)
            )
        )


class RoomLoad(NamedTuple):
    """What there is to do in a room, or in several together; the first figures count most."""

    commands_per_second: float
    """Of the last 30 to 60 seconds."""
    subscribers: int
    mailbox_depth: int


class RoomsOverview(NamedTuple):
    """All rooms at one moment."""

    states: Mapping[RoomState, int]
    """Rooms, per state."""
    crashes: int
    totals: RoomTotals
    loads: Mapping[str, RoomLoad]
    """By slug, of the rooms with most to do."""
    other_load: RoomLoad
    """Of all others together."""

    @property
    def subscribers(self) -> int:
        """The subscribers of all rooms."""
        return self.other_load.subscribers + sum(each.subscribers for each in self.loads.values())


async def overview_of(
    rooms: list[RoomHandle], closed: RoomTotals, crashes: int, named: int
) -> RoomsOverview:
    """Return what rooms do and have counted; others run in between.

    A room that closes meanwhile is in it.

    :param closed: what rooms had counted that are none of these any more.
    :param named: how many rooms have a load of their own, those with most to do.
    """
    states: list[RoomState] = []
    loads: list[tuple[RoomLoad, str]] = []
    totals = closed
    for start in range(0, len(rooms), _ROOMS_PER_TURN):
        some = rooms[start : start + _ROOMS_PER_TURN]
        states += map(state_of, some)
        loads += zip(map(_load_of, some), [room.slug for room in some], strict=True)
        totals = totals.plus(some)
        await trio.lowlevel.checkpoint()
    shown = {slug: load for load, slug in heapq.nlargest(named, loads)}
    others = [load for load, slug in loads if slug not in shown]
    return RoomsOverview(
        states={state: states.count(state) for state in RoomState},
        crashes=crashes,
        totals=totals,
        loads=shown,
        other_load=RoomLoad(
            sum(load.commands_per_second for load in others),
            sum(load.subscribers for load in others),
            sum(load.mailbox_depth for load in others),
        ),
    )


def _load_of(room: RoomHandle) -> RoomLoad:
    now = trio.current_time()
    # One that has had no commands for so long that the rate is 0 need not be asked for it.
    active = room.active_at > now - _RATE_TIME
    rate = room.batch_sizes.rate(now, room.opened_at) if active else 0.0
    return RoomLoad(rate, len(room.subscribers), len(room.mailbox))
