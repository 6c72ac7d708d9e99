"""All rooms at a glance: how many there are, what they have counted, which have most to do."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import msgspec
import trio

from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.room_statistics import state_of
from gbs_actor.rooms.statistics import RoomState

_RATE_TIME: Final = 60.0
"""Seconds over which a room's rate is taken, at most."""
_ROOMS_PER_TURN: Final = 250
"""Rooms whose load is read, in a millisecond or two, before other tasks run."""


class RoomTotals(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What rooms have counted, those that have closed included."""

    accepted: int = 0
    rejected: int = 0
    repeated: int = 0
    refused_busy: int = 0
    unknown_outcomes: int = 0
    stale_commits: int = 0
    deltas: int = 0
    """Changes of others that rooms have taken over without being loaded."""
    locks: int = 0
    """How often a retreat was locked, since others had been faster twice."""
    restarts: int = 0
    """Starts after a crash."""
    deliveries: int = 0
    """How often a subscriber was handed rows; those that go together count once."""

    def plus(self, rooms: Collection[RoomHandle]) -> RoomTotals:
        """Return these together with those of some rooms."""
        counted = {
            name: getattr(self, name) + sum([getattr(room, name) for room in rooms])
            for name in RoomTotals.__struct_fields__
        }
        return RoomTotals(**counted)


class RoomCounts(RoomTotals, frozen=True, kw_only=True):
    """All rooms together at one moment."""

    open: int
    states: Mapping[RoomState, int]
    """The open rooms, per state; states without any are left out."""
    subscribers: int
    mailbox_depth: int
    """Items that are queued."""
    crashes: int
    checks: int
    """Reads of the revisions that rooms have in the store."""
    behind: float
    """Seconds for which rooms may lack what other servers have changed."""
    other_servers: int
    """Those whose presence is shown here."""


def counts_of(
    rooms: Collection[RoomHandle],
    closed: RoomTotals,
    *,
    crashes: int,
    checks: int,
    behind: float,
    other_servers: int,
) -> RoomCounts:
    """Return the rooms as they are now. A thousand of them take half a millisecond.

    :param closed: what rooms had counted that are none of these any more.
    :param crashes: see :class:`RoomCounts`; so are the following.
    """
    return RoomCounts(
        **msgspec.structs.asdict(closed.plus(rooms)),
        open=len(rooms),
        states=Counter(map(state_of, rooms)),
        subscribers=sum([len(room.subscribers) for room in rooms]),
        mailbox_depth=sum([len(room.mailbox) for room in rooms]),
        crashes=crashes,
        checks=checks,
        behind=behind,
        other_servers=other_servers,
    )


class RoomLoad(NamedTuple):
    """What there is to do in a room, or in several together; the first figures count most."""

    commands_per_second: float
    """Of the last 30 to 60 seconds."""
    subscribers: int
    mailbox_depth: int


class RoomLoads(NamedTuple):
    """What there is to do in all rooms."""

    named: Mapping[str, RoomLoad]
    """By slug, of the rooms with most to do."""
    others: RoomLoad
    """Of all others together."""


async def loads_of(rooms: Collection[RoomHandle], named: int) -> RoomLoads:
    """Return what there is to do in rooms; other tasks run in between.

    A room that closes meanwhile is in it.

    :param named: how many rooms have a load of their own, those with most to do.
    """
    loads: list[tuple[RoomLoad, str]] = []
    for number, room in enumerate(tuple(rooms)):
        if number % _ROOMS_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
        loads.append((_load_of(room), room.slug))
    shown = {slug: load for load, slug in heapq.nlargest(named, loads)}
    others = [load for load, slug in loads if slug not in shown]
    return RoomLoads(
        shown,
        RoomLoad(
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
