"""All rooms at a glance: how many there are, what they have counted, which have most to do.

The work for one room is small and does not grow with its subscribers: nothing else runs while a
thousand rooms are read.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import trio

from gbs_actor.observability import DURATION_BOUNDS, SIZE_BOUNDS, HistogramTotals
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.room_statistics import command_rate_of, state_of
from gbs_actor.rooms.statistics import RoomState

_COUNTERS = (
    "accepted",
    "rejected",
    "repeated",
    "refused_busy",
    "unknown_outcomes",
    "stale_commits",
    "restarts",
    "deliveries",
)


@dataclass(frozen=True, slots=True)
class RoomTotals:
    """What rooms have counted, those that have closed included."""

    accepted: int = 0
    rejected: int = 0
    repeated: int = 0
    refused_busy: int = 0
    unknown_outcomes: int = 0
    stale_commits: int = 0
    restarts: int = 0
    deliveries: int = 0
    """Messages with rows that were handed to subscribers."""
    commit_times: HistogramTotals = field(
        default_factory=lambda: HistogramTotals.nothing(DURATION_BOUNDS)
    )
    batch_sizes: HistogramTotals = field(
        default_factory=lambda: HistogramTotals.nothing(SIZE_BOUNDS)
    )

    def plus(self, rooms: Collection[RoomHandle]) -> RoomTotals:
        """Return these together with those of some rooms."""
        counters = {
            name: getattr(self, name) + sum([getattr(room, name) for room in rooms])
            for name in _COUNTERS
        }
        return RoomTotals(
            **counters,
            commit_times=self.commit_times.plus(room.commit_times for room in rooms),
            batch_sizes=self.batch_sizes.plus(room.batch_sizes for room in rooms),
        )


@dataclass(frozen=True, slots=True)
class RoomLoad:
    """What there is to do in a room, or in several together."""

    subscribers: int
    mailbox_depth: int
    commands_per_second: float
    """Of the last 30 to 60 seconds."""


@dataclass(frozen=True, slots=True)
class RoomsOverview:
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


def overview_of(
    rooms: Collection[RoomHandle], closed: RoomTotals, crashes: int, named: int
) -> RoomsOverview:
    """Return the rooms as they are now.

    :param closed: what rooms had counted that are none of these any more.
    :param named: how many rooms have a load of their own, those with most to do: with most
        commands in the last minute, then with most subscribers.
    """
    loads = {room.slug: _load_of(room) for room in rooms}
    busiest = heapq.nlargest(
        named, loads, key=lambda slug: (loads[slug].commands_per_second, loads[slug].subscribers)
    )
    shown = {slug: loads.pop(slug) for slug in busiest}
    return RoomsOverview(
        states=Counter(map(state_of, rooms)),
        crashes=crashes,
        totals=closed.plus(rooms),
        loads=shown,
        other_load=_together(loads.values()),
    )


def _load_of(room: RoomHandle) -> RoomLoad:
    # One that has had none for so long that the rate is 0 need not be asked for it.
    idle = room.active_at < trio.current_time() - 60.0
    rate = 0.0 if idle else command_rate_of(room)
    return RoomLoad(len(room.subscribers), len(room.mailbox), rate)


def _together(loads: Iterable[RoomLoad]) -> RoomLoad:
    subscribers = depth = 0
    rate = 0.0
    for load in loads:
        subscribers += load.subscribers
        depth += load.mailbox_depth
        rate += load.commands_per_second
    return RoomLoad(subscribers, depth, rate)
