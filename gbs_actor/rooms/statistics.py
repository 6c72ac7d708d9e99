"""What a room and its supervisor report about themselves.

Times are seconds. The records are sent to operators as they are, with camel-case names.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import Kind
from gbs_actor.observability import Bucket, Durations
from gbs_actor.rooms.delivery import Presence
from gbs_actor.rooms.subscriber import SubscriberStatistics
from gbs_actor.store.protocol import DeltaEntry


class RoomState(StrEnum):
    """Where a room is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    RESTARTING = "restarting"
    FAILED = "failed"
    DRAINING = "draining"
    STOPPED = "stopped"


class RoomSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A room at one moment, without its subscribers: the work does not grow with their number.

    Counters run since the room was opened in this process.
    """

    slug: str
    state: RoomState
    age: float
    """Since the room was opened."""
    idle_for: float
    """Since the last command or mark; 0 while one is in hand."""
    revision: int | None
    """``None`` while nothing is loaded."""
    epoch: str | None
    rows: int
    subscriber_count: int
    editing_marks: int
    mailbox_depth: int
    """Items that are queued, joins and leaves included."""
    mailbox_high_water: int
    """The most that were queued at once."""
    mailbox_size: int
    in_hand: int
    """Commands and marks of the batch under way."""
    phase: str | None
    """The phase of that batch."""
    resolving: bool
    """Whether the unknown outcome of a commit is being resolved."""
    store_down: bool
    """Whether the room waits for a store that cannot be reached."""
    commands_per_second: float
    """Of the last 30 to 60 seconds."""
    batches: int
    batch_mean: float
    """Commands and marks per batch."""
    batch_largest: int
    commit: Durations
    """From sending a commit to the store's reply."""
    hand_out: Durations
    """From that reply to the last delivery of the batch."""
    accepted: int
    rejected: int
    """For whatever reason: by the rules, or because of a crash, a stop or a failed store."""
    repeated: int
    refused_busy: int
    """Of those rejected, because as many were queued as may be."""
    unknown_outcomes: int
    stale_commits: int
    restarts: int
    """Starts after a crash."""
    restart_in: float | None
    """Until a room that pauses after a crash starts again by itself."""
    last_error: str | None
    """The last crash in one line."""
    node: str | None = None
    """The server that it runs on; ``None``: there is only one."""


class CommandInHand(msgspec.Struct, frozen=True, rename="camel"):
    """A command of a batch that is not finished; without what was typed."""

    command_id: UUID
    kind: Kind
    user_id: int
    user_name: str
    replied: bool


class BatchStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The batch that a room has in hand."""

    phase: str
    attempts: int
    """Commits of it that provably had no effect."""
    marks: int
    commands: tuple[CommandInHand, ...]


class LastChange(msgspec.Struct, frozen=True, rename="camel"):
    """An accepted command that is durable; without what was typed."""

    revision: int
    command_id: UUID
    kind: Kind
    user_id: int | None
    """``None``: the room's own, to settle an unknown outcome."""
    user_name: str
    registration_id: int | None
    at: datetime

    @classmethod
    def of(cls, change: Change) -> LastChange:
        """Return a change as operators see it."""
        author = change.author
        return cls(
            change.revision,
            change.command_id,
            change.kind,
            None if author is None else author.user_id,
            "" if author is None else author.name,
            change.registration_id,
            change.at,
        )

    @classmethod
    def of_entry(cls, entry: DeltaEntry) -> LastChange:
        """Return a change of another server as operators see it."""
        ids = entry.registration_ids
        return cls(
            entry.revision,
            entry.command_id,
            entry.kind,
            entry.author_id,
            entry.author_name,
            ids[0] if len(ids) == 1 else None,
            entry.at,
        )


class Crash(msgspec.Struct, frozen=True):
    """A crash of a room."""

    at: datetime
    phase: str | None
    """The phase of the batch in hand; ``None``: there was none."""
    error: str
    """Type and message in one line."""
    traceback: str
    """As Python writes it, of each message the first line: further ones may quote rows."""


class RoomStatistics(RoomSummary, frozen=True, kw_only=True):
    """A room as a whole."""

    since_progress: float
    """Since the last step of its work: a load, a batch taken, committed or handed out."""
    batch: BatchStatistics | None
    """``None``: it has none in hand."""
    batch_sizes: tuple[Bucket, ...]
    """Commands per batch."""
    commit_times: tuple[Bucket, ...]
    """From sending a commit to the store's reply."""
    last_changes: tuple[LastChange, ...]
    """Since the room was opened in this process, the latest first."""
    crash_history: tuple[Crash, ...]
    """The latest first."""
    presence: Presence | None
    """Who is there, as everybody was sent it last."""
    subscribers: tuple[SubscriberStatistics, ...]
    """In the order of joining; of a very large room the first ones."""


class SupervisorStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All rooms at one moment, and what happened to rooms since the supervisor was started."""

    rooms: tuple[RoomSummary, ...]
    started: int
    stopped_idle: int
    crashes: int
    draining: bool


class RoomPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Some of the rooms, in the order that was asked for."""

    total: int
    """All that match."""
    rooms: tuple[RoomSummary, ...]
    started: int | None = None
    """This and all below is of the whole server; null: the operator does not see all of it."""
    stopped_idle: int | None = None
    crashes: int | None = None
    draining: bool | None = None
