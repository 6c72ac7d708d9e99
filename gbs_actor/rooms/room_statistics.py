"""Reads a room's statistics from its handle. Nothing here blocks, or changes the room."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import trio

from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.statistics import RoomState, RoomStatistics, RoomSummary

SHOWN_SUBSCRIBERS: Final = 500
"""Subscribers in a room's statistics, at most: nothing else runs while they are read."""


def state_of(room: RoomHandle) -> RoomState:
    """Return the state; that a room is draining goes before what it does meanwhile."""
    return RoomState.DRAINING if room.draining and not room.closed.is_set() else room.state


def age_of(room: RoomHandle) -> float:
    """Return the seconds since the room was opened."""
    return trio.current_time() - room.opened_at


def idle_time_of(room: RoomHandle) -> float:
    """Return the seconds since the last batch was taken; 0 while one is in hand."""
    return 0.0 if room.batch is not None else trio.current_time() - room.active_at


def in_hand_of(room: RoomHandle) -> int:
    """Return how many commands and marks the batch under way has."""
    return 0 if room.batch is None else len(room.batch.steps)


def batch_mean_of(room: RoomHandle) -> float:
    """Return the commands and marks per batch."""
    return room.commands / room.batches if room.batches else 0.0


def command_rate_of(room: RoomHandle) -> float:
    """Return the commands taken per second, in the last 30 to 60 seconds."""
    return room.batch_sizes.rate(trio.current_time(), room.opened_at)


def summary_of(room: RoomHandle) -> RoomSummary:
    """Return the room as it is now, without its subscribers."""
    return RoomSummary(**_figures(room))


def statistics_of(room: RoomHandle) -> RoomStatistics:
    """Return the room as it is now, as a whole."""
    now = trio.current_time()
    subscribers = islice(room.subscribers, SHOWN_SUBSCRIBERS)
    return RoomStatistics(
        **_figures(room),
        since_progress=now - room.progressed_at,
        batch=None if room.batch is None else room.batch.statistics(),
        batch_sizes=room.batch_sizes.buckets(now),
        commit_times=room.commit_times.buckets(now),
        last_changes=tuple(room.last_changes),
        crash_history=tuple(room.crashes.latest),
        presence=room.presence.shown,
        subscribers=tuple(each.statistics() for each in subscribers),
    )


def _figures(room: RoomHandle) -> dict[str, Any]:
    now = trio.current_time()
    board = None if room.rows is None else room.rows.board
    return {
        "slug": room.slug,
        "state": state_of(room),
        "age": age_of(room),
        "idle_for": idle_time_of(room),
        "revision": None if board is None else board.revision,
        "epoch": None if board is None else board.epoch,
        "rows": 0 if board is None else len(board),
        "subscriber_count": len(room.subscribers),
        "editing_marks": len(room.marks),
        "mailbox_depth": len(room.mailbox),
        "mailbox_high_water": room.mailbox.high_water,
        "mailbox_size": room.mailbox.size,
        "in_hand": in_hand_of(room),
        "phase": None if room.batch is None else room.batch.phase,
        "resolving": room.resolving,
        "store_down": room.store_down,
        "commands_per_second": command_rate_of(room),
        "batches": room.batches,
        "batch_mean": batch_mean_of(room),
        "batch_largest": room.batch_largest,
        "commit": room.commit_times.durations(now),
        "hand_out": room.fan_out_times.durations(now),
        "accepted": room.accepted,
        "rejected": room.rejected,
        "repeated": room.repeated,
        "refused_busy": room.refused_busy,
        "unknown_outcomes": room.unknown_outcomes,
        "stale_commits": room.stale_commits,
        "restarts": room.restarts,
        "restart_in": None if room.restarts_at is None else max(0.0, room.restarts_at - now),
        "last_error": room.crashes.last_error,
    }
