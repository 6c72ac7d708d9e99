"""The list of rooms: which of them match, in which order.

Neither asks a room for more than the figure that decides: with a thousand rooms only those on
the page are summed up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any, Final

import trio
from msgspec.structs import replace

from gbs_actor.observability.recent_histogram import PERCENTILES
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.room_statistics import (
    age_of,
    batch_mean_of,
    command_rate_of,
    idle_time_of,
    in_hand_of,
    state_of,
    summary_of,
)
from gbs_actor.rooms.statistics import RoomState, RoomSummary

SortKey = Callable[[RoomHandle], Any]

_SORTED_AT_ONCE: Final = 250
"""Rooms that are looked at before other tasks run."""
_SUMMED_UP_AT_ONCE: Final = 50
"""Rooms that are summed up before other tasks run."""


def _percentile(histogram: str, share: float) -> SortKey:
    histogram_of = attrgetter(histogram)
    return lambda room: histogram_of(room).percentile(share, trio.current_time())


SORT_KEYS: Final[dict[str, SortKey]] = {
    "slug": attrgetter("slug"),
    "state": state_of,
    "age": age_of,
    "idleFor": idle_time_of,
    "revision": lambda room: -1 if room.rows is None else room.rows.board.revision,
    "rows": lambda room: 0 if room.rows is None else len(room.rows.board),
    "subscriberCount": lambda room: len(room.subscribers),
    "editingMarks": lambda room: len(room.marks),
    "mailboxDepth": lambda room: len(room.mailbox),
    "mailboxHighWater": attrgetter("mailbox.high_water"),
    "inHand": in_hand_of,
    "commandsPerSecond": command_rate_of,
    "batches": attrgetter("batches"),
    "batchMean": batch_mean_of,
    "batchLargest": attrgetter("batch_largest"),
    "accepted": attrgetter("accepted"),
    "rejected": attrgetter("rejected"),
    "repeated": attrgetter("repeated"),
    "refusedBusy": attrgetter("refused_busy"),
    "unknownOutcomes": attrgetter("unknown_outcomes"),
    "staleCommits": attrgetter("stale_commits"),
    "restarts": attrgetter("restarts"),
    "commit.count": lambda room: room.commit_times.durations(trio.current_time()).count,
    "handOut.count": lambda room: room.fan_out_times.durations(trio.current_time()).count,
    **{
        f"{name}.{figure}": _percentile(histogram, share)
        for name, histogram in (("commit", "commit_times"), ("handOut", "fan_out_times"))
        for figure, share in PERCENTILES.items()
    },
}
"""What rooms can be sorted by, named as in the JSON of a :class:`RoomSummary`."""


def matching_slugs(rooms: Iterable[RoomHandle], state: RoomState | None, search: str) -> list[str]:
    """Return the slugs of the rooms that match.

    :param state: theirs; ``None``: any.
    :param search: part of their slug, in whatever case.
    """
    wanted = search.casefold()
    return [
        room.slug
        for room in rooms
        if (state is None or state_of(room) is state) and wanted in room.slug.casefold()
    ]


async def sorted_summaries(
    rooms: Iterable[RoomHandle],
    sort: str,
    offset: int,
    limit: int,
    *,
    descending: bool,
    node: str | None = None,
    elsewhere: Iterable[RoomSummary] = (),
) -> tuple[RoomSummary, ...]:
    """Return the summaries of some rooms.

    Other tasks run meanwhile, so the figures are of slightly different moments.

    :param sort: a key of :data:`SORT_KEYS`; rooms that are equal in it are sorted by slug and
        node, so that their order is stable.
    :param offset: rooms before the first one.
    :param limit: rooms at most.
    :param node: the name of this server among several.
    :param elsewhere: rooms of other servers.
    """
    key = SORT_KEYS[sort]
    keyed: list[tuple[Any, str, str, RoomHandle | RoomSummary]] = []
    for number, room in enumerate(rooms, 1):
        keyed.append((key(room), room.slug, node or "", room))
        if number % _SORTED_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    figure = _figure(sort)
    keyed += [(figure(each), each.slug, each.node or "", each) for each in elsewhere]
    keyed.sort(key=itemgetter(1, 2))
    keyed.sort(key=itemgetter(0), reverse=descending)
    summaries: list[RoomSummary] = []
    for number, (_, _, _, shown) in enumerate(keyed[offset : offset + limit], 1):
        if isinstance(shown, RoomHandle):
            summaries.append(replace(summary_of(shown), node=node))
        else:
            summaries.append(shown)
        if number % _SUMMED_UP_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return tuple(summaries)


def _figure(sort: str) -> Callable[[RoomSummary], Any]:
    """Return what reads the figure of a key of :data:`SORT_KEYS` from a summary."""
    name, _, rest = sort.partition(".")
    attribute = dict(
        zip(RoomSummary.__struct_encode_fields__, RoomSummary.__struct_fields__, strict=True)
    )[name]
    read = attrgetter(f"{attribute}.{rest}" if rest else attribute)
    if name == "revision":
        return lambda room: -1 if room.revision is None else room.revision
    return read
