"""How many rooms there are, and what they have counted, in one short pass over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.overview import RoomTotals
from gbs_actor.rooms.room_statistics import state_of
from gbs_actor.rooms.statistics import RoomState


class RoomCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All rooms together at one moment. Counters include those of rooms that have closed."""

    open: int
    states: Mapping[RoomState, int]
    """The open rooms, per state; states without any are left out."""
    subscribers: int
    mailbox_depth: int
    """Items that are queued."""
    accepted: int
    rejected: int
    refused_busy: int
    restarts: int
    """Starts after a crash."""


def counts_of(rooms: Iterable[RoomHandle], closed: RoomTotals) -> RoomCounts:
    """Return the rooms as they are now.

    Unlike :func:`.overview_of` it names no rooms and needs no pause: a thousand of them take a
    quarter of a millisecond.

    :param closed: what rooms had counted that are none of these any more.
    """
    states: Counter[RoomState] = Counter()
    subscribers = depth = 0
    accepted, rejected = closed.accepted, closed.rejected
    refused_busy, restarts = closed.refused_busy, closed.restarts
    for room in rooms:
        states[state_of(room)] += 1
        subscribers += len(room.subscribers)
        depth += len(room.mailbox)
        accepted += room.accepted
        rejected += room.rejected
        refused_busy += room.refused_busy
        restarts += room.restarts
    return RoomCounts(
        open=states.total(),
        states=states,
        subscribers=subscribers,
        mailbox_depth=depth,
        accepted=accepted,
        rejected=rejected,
        refused_busy=refused_busy,
        restarts=restarts,
    )
