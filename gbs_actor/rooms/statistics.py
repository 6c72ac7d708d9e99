"""What a room and its supervisor report about themselves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from gbs_actor.rooms.subscriber import SubscriberStatistics


class RoomState(StrEnum):
    """Where a room is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Durations:
    """The last few hundred durations of one kind, in seconds."""

    count: int
    """How many there were since the room started, not only those kept."""
    p50: float
    p99: float
    longest: float


class DurationWindow:
    """Keeps the last ``size`` durations."""

    def __init__(self, size: int = 256) -> None:
        self._kept: deque[float] = deque(maxlen=size)
        self._count = 0

    def add(self, seconds: float) -> None:
        """Add one."""
        self._count += 1
        self._kept.append(seconds)

    def summary(self) -> Durations:
        """Return the percentiles of those kept; zeros where there are none."""
        kept = sorted(self._kept)
        if not kept:
            return Durations(0, 0.0, 0.0, 0.0)
        last = len(kept) - 1
        return Durations(self._count, kept[last // 2], kept[round(last * 0.99)], kept[last])


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCounters:
    """A room at one moment. Counters run since the room's first start in this process."""

    slug: str
    state: RoomState
    revision: int | None
    """``None`` while nothing is loaded."""
    epoch: str | None
    rows: int
    editing_marks: int
    mailbox_depth: int
    """Items that are queued, joins and leaves included."""
    mailbox_size: int
    in_hand: int
    """Commands and marks of the batch under way."""
    phase: str | None
    """The phase of that batch."""
    resolving: bool
    """Whether the unknown outcome of a commit is being resolved."""
    batches: int
    batch_mean: float
    """Commands per batch."""
    batch_largest: int
    commit: Durations
    """From sending a commit to the store's reply."""
    hand_out: Durations
    """From the store's reply to the last delivery."""
    accepted: int
    rejected: int
    repeated: int
    refused_busy: int
    unknown_outcomes: int
    stale_commits: int
    restarts: int
    """Starts after a crash."""
    last_error: str | None
    """The last crash in one line."""
    failed_until: float | None
    """Trio time at which a FAILED room starts again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSummary(RoomCounters):
    """A room without its subscribers: the work does not grow with their number."""

    subscriber_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStatistics(RoomCounters):
    """A room with each of its subscribers."""

    subscribers: tuple[SubscriberStatistics, ...]


@dataclass(frozen=True, slots=True)
class SupervisorStatistics:
    """All rooms at one moment."""

    rooms: tuple[RoomSummary, ...]
    started: int
    """Rooms started since the supervisor was."""
    stopped_idle: int
    crashes: int
    draining: bool
