"""The protocol of durable storage, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import msgspec

from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.records import Group, Registration, Retreat
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.observability import RecentHistogram
from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord
from gbs_actor.store.history import HistoryQuery, StoredGroup
from gbs_actor.store.nodes import NodeDirectory
from gbs_actor.store.rows import RowKey
from gbs_actor.store.seed.seed import RetreatSeed

DELTA_LIMIT: Final = 2_000
"""A delta has at most so many rows (registrations and groups), and at most so many entries.

Where all people of a retreat have changed, a load would cost a quarter less, and drop what is
encoded: not worth a relative limit."""
LOCK_TIMEOUT: Final = 0.25
"""Seconds after which whoever holds the lock of a retreat loses it."""


class StoreError(Exception):
    """Base of a store's exceptions."""


class StoreUnavailable(StoreError):
    """The store cannot be reached; nothing was sent to it, so nothing has changed."""


class CommitRefused(StoreError):
    """The store returned an error; nothing of the commit took effect.

    ``data_error`` is true if a value is invalid, so that the same commit can never succeed.
    """

    def __init__(self, message: str, *, data_error: bool = False) -> None:
        super().__init__(message)
        self.data_error = data_error


class LockLost(StoreUnavailable):
    """The lock of a retreat was lost before a commit was sent, as whoever had it was too slow."""


class RowsLocked(StoreError):
    """A transaction of another program holds rows of a commit, or did; nothing took effect."""


class RepeatedCommands(StoreError):
    """Some of the commands are in the log already; nothing took effect.

    ``entries`` maps their ids to their log entries.
    """

    def __init__(self, entries: Mapping[UUID, LogEntry]) -> None:
        super().__init__(f"{len(entries)} of the commands are in the log already")
        self.entries = entries


class OutcomeUnknown(StoreError):
    """A commit was sent and its outcome lost: it may have taken effect, or may still."""


class RetreatExists(StoreError):
    """A retreat with this slug exists already."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"there is a retreat {slug!r} already")
        self.slug = slug


@dataclass(frozen=True, slots=True)
class RetreatVersion:
    """The version of a retreat in the store: equal versions are equal states."""

    id: int
    """The retreat's."""
    revision: int
    """Of the last change."""
    epoch: str
    """Opaque; changes whenever revisions start anew."""
    removal_revision: int
    """Of the last change that removed a registration (0: none did)."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One try to commit a batch of changes to a retreat."""

    id: UUID
    """Of its own, also where the same batch is tried again: the log has it with each entry."""
    retreat_id: int
    epoch: str
    """The retreat's, in which the changes were decided."""
    expected_revision: int
    """The revision that they are based on; the first change has the next one, and each further
    one is one higher."""
    changes: tuple[Change, ...]
    """In the order of their revisions; may be empty."""
    repeatable: frozenset[UUID] = frozenset()
    """Ids of commands that may be in the log already."""


@dataclass(frozen=True, slots=True)
class DeltaEntry:
    """What a delta has of an entry of the log."""

    revision: int
    command_id: UUID
    author_id: int | None
    author_name: str
    kind: Kind
    request: bytes
    registration_ids: tuple[int, ...]
    """The registrations that it addresses."""
    at: datetime
    removed: tuple[int, ...] = ()
    """Registrations that other programs have removed."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What a retreat has beyond a revision, as of one consistent moment.

    Content may be newer than its revision, never older.
    """

    version: RetreatVersion
    complete: bool
    """Whether a state of the revision becomes the state of ``version`` by what follows. Otherwise
    all of it is empty, and the retreat is to be loaded: its epoch is another one, it is at a lower
    revision, other programs have changed too much of it, too much has changed, or the log was
    pruned too far; or a commit found other rows than its changes take for granted, though at
    their revision."""
    registrations: tuple[Registration, ...] = ()
    """Those of which any revision is higher, whole."""
    groups: tuple[Group, ...] = ()
    """Those with a higher revision, deleted ones, too."""
    entries: tuple[DeltaEntry, ...] = ()
    """Of the log, ascending."""

    @property
    def removed(self) -> dict[int, int]:
        """The registrations that are gone, and the revisions at which they were removed."""
        there = {registration.id for registration in self.registrations}
        return {
            id_: entry.revision
            for entry in self.entries
            for id_ in entry.removed
            if id_ not in there
        }


class LockedRetreat(Protocol):
    """A retreat that no other server can change, until its block ends."""

    @property
    def delta(self) -> Delta | None:
        """What it has beyond the revision that the lock was asked with; ``None``: it is at it."""
        ...

    async def commit(self, attempt: Attempt) -> None:
        """Make changes durable, once, and release the retreat.

        :raises ValueError: as :meth:`Store.commit`; or the attempt is not based on the revision
            that the retreat has.
        :raises RepeatedCommands: as :meth:`Store.commit`; so are the following.
        :raises RowsLocked: …
            Or it has changed rows since the retreat was locked.
        :raises CommitRefused: …; or rows are not as the changes take them to be.
        :raises LockLost: nothing has changed.
        :raises OutcomeUnknown: …
        """
        ...


@dataclass(frozen=True, slots=True)
class SessionLocation:
    """The room that a recoverable session is in, and since which revision.

    A client that resumes sends an offset: the revision of the last event it received, in any
    room.
    """

    slug: str
    epoch: str
    """The retreat's when the room was joined."""
    joined_revision: int
    """The room's when it was joined: a lower offset is older than the join."""
    known_elsewhere: int
    """The highest offset that the client may have of another room; -1: none."""

    def since(self, offset: int) -> int | None:
        """Return the revision to resume from; ``None``: the client may not have the room's list.

        If the offset is lower than the revision at the join, no event of the room has arrived, nor
        the reply to the join; perhaps neither has if the offset may be of another room.
        """
        if offset < self.joined_revision or offset <= self.known_elsewhere:
            return None
        return offset


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What is stored of a recoverable session."""

    location: SessionLocation | None
    """``None``: it is in no room."""
    generation: int = 0
    """How often it was taken over, on servers that share a store: what is written of a lower one is
    by a server whose connection the client has left."""


class StoreStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A store at one moment. Counters run since it was opened."""

    kind: str
    """``"postgres"`` or ``"memory"``."""
    available: bool
    """Whether the last contact succeeded."""
    commits: int
    """Commits that succeeded."""
    commit_failures: int
    """Commits that failed, for any reason."""
    unknown_outcomes: int
    """Commits whose outcome was lost."""
    terminated_connections: int
    """Connections that ended at a deadline or by a failure."""
    open_connections: int
    idle_connections: int
    busy_connections: int
    """Those of the pool that are in use."""
    waiting: int
    """Calls that wait for a connection."""
    lease_held: bool
    """Whether this server may write, as far as is known."""


class Store(Protocol):
    """Durable retreats: their current state and the log of their changes.

    Every method may raise :exc:`StoreUnavailable`. A cancelled read has no effect, a
    cancelled commit an unknown one (rooms shield theirs).
    """

    @property
    def shared(self) -> bool:
        """Whether other servers may change retreats at the same time."""
        ...

    @property
    def nodes(self) -> NodeDirectory:
        """The servers that use it, where it is shared."""
        ...

    @property
    def written_by_others(self) -> bool:
        """Whether programs that are no servers may change retreats: see :meth:`absorb`."""
        ...

    async def load(self, slug: str) -> Retreat | None:
        """Return the retreat as of one consistent moment, or ``None`` if there is none."""
        ...

    async def version(self, slug: str) -> RetreatVersion | None:
        """Return the version that :meth:`load` would load, without loading it.

        ``None`` if there is no such retreat. Costs one small read.
        """
        ...

    async def commit(self, attempt: Attempt) -> Delta | None:
        """Make changes durable, all or none of them, in one transaction and one round trip.

        :returns: ``None``: they are durable. Otherwise nothing took effect: the retreat is at
            another revision, or in another epoch, or its rows are not as the changes take them to
            be; the result is what it has beyond ``attempt.expected_revision``. Of a retreat that
            is not there it has revision 0 and no epoch.
        :raises ValueError: the changes are not numbered from ``expected_revision + 1``.
        :raises RepeatedCommands: one of ``attempt.repeatable``, or of the changes' command ids, is
            in the log. Nothing took effect.
        :raises RowsLocked: another program's transaction holds rows; nothing took effect.
        :raises CommitRefused: the store refused; nothing took effect.
        :raises OutcomeUnknown: connection lost, timeout or cancellation after it was sent.
        """
        ...

    def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AbstractAsyncContextManager[LockedRetreat]:
        """Keep other servers from changing a retreat within the block.

        For a batch that others were faster than twice: waits for its turn, then commits. Nothing
        else of the store is to be awaited within the block: whoever holds a lock for
        :data:`LOCK_TIMEOUT` loses it.

        :param epoch: of the state that the caller has, as is ``revision``.
        :raises StoreUnavailable: the lock cannot be had, or there is no such retreat; nothing has
            changed.
        :raises RowsLocked: it is not free in the time of a commit; nothing has changed.
        """
        ...

    async def held_rows(self, retreat_id: int, rows: Collection[RowKey]) -> frozenset[RowKey]:
        """Return which of these rows the transactions of other programs hold; waits for none.

        So is a registration held that has changed and cannot be absorbed, as its group is.
        That of the retreat is there alone: others are not known then.
        """
        ...

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        """Return what a retreat has beyond a revision; ``None``: there is no such retreat.

        Where it is at the revision, the delta is complete and empty.
        """
        ...

    async def versions(self, retreat_ids: Collection[int]) -> dict[int, RetreatVersion]:
        """Return the versions of those that there are. Costs one small read for all."""
        ...

    async def absorb(self) -> Collection[int]:
        """Give what other programs have changed in retreats a revision and an entry in the log.

        What transactions hold that are open is left for later. Loads and :meth:`versions` do the
        same for what they return, and commits for what they rest on.

        :returns: the ids of the retreats that have another revision by it, or by what else this
            store was asked for since the last call.
        """
        ...

    @property
    def absorb_lag(self) -> RecentHistogram:
        """Seconds from the first change of others in a retreat until some of theirs is absorbed."""
        ...

    async def committed(self, retreat_id: int, attempt_id: UUID) -> bool:
        """Whether the log has entries of an attempt."""
        ...

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """Return the log entries of these command ids, if there are any."""
        ...

    async def reserve_memo_ids(self, count: int) -> Sequence[int]:
        """Reserve ``count`` fresh memo ids; unused ones are never assigned.

        :raises ValueError: ``count`` is not positive.
        """
        ...

    async def log(
        self, retreat_id: int, *, after_revision: int = 0, limit: int = 1_000
    ) -> list[LogEntry]:
        """Return at most ``limit`` log entries after ``after_revision``, ascending."""
        ...

    async def entry(self, retreat_id: int, key: UUID | int) -> LogEntry | None:
        """Return the log entry of a command or revision, if there is one.

        :param key: the command's id, or the revision.
        """
        ...

    async def history(self, retreat_id: int, query: HistoryQuery) -> list[LogEntry]:
        """Return entries of the log, the newest first."""
        ...

    async def revision_at(self, retreat_id: int, at: datetime) -> int:
        """Return the highest revision that the log has of then or earlier; 0: none.

        :param at: aware.
        """
        ...

    async def pruned_revision(self, retreat_id: int) -> int:
        """Return the revision up to which the log was pruned (0: never)."""
        ...

    async def groups(self, slug: str) -> dict[int, StoredGroup]:
        """Return the groups of a retreat by number, without those that are deleted."""
        ...

    async def titles(self, slug: str | None = None) -> dict[str, str]:
        """Return the titles of all retreats by slug, the newest retreat first.

        :param slug: only that of this retreat, if there is one.
        """
        ...

    async def schedules(self, slug: str) -> tuple[Schedule, ...]:
        """Return what people can register for in a retreat, in the order of the ids."""
        ...

    async def slug_of_registration(self, registration_id: int) -> str | None:
        """Return the slug of the retreat that a registration is in, if there is one."""
        ...

    async def slug_of_memo(self, memo_id: int) -> str | None:
        """Return the slug of the retreat that a line-up memo is in; it may be deleted."""
        ...

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        """Return the roles that grants give in these retreats, by slug and user.

        A retreat without grants is left out. Costs one small read.
        """
        ...

    async def update_session_locations(self, records: Mapping[str, SessionRecord]) -> set[str]:
        """Store what is known of sessions, unless they have been taken over since.

        A crash of the store may lose a location; that a session is in no room is durable.

        :param records: by session id, which the store keeps as a hash only.
        :returns: the sessions that have a higher generation; nothing was stored of them.
        :raises CommitRefused: the store refused; nothing has changed.
        :raises OutcomeUnknown: connection lost or timeout after it was sent; may be retried.
        """
        ...

    async def find_session_location(self, sid: str) -> SessionRecord:
        """Return what is stored of a session: generation 0 and no location if nothing is."""
        ...

    async def take_over_session(self, sid: str) -> SessionRecord:
        """Raise the generation of a session, in one step; return what is stored of it, with that.

        :raises CommitRefused: the store refused; nothing has changed.
        :raises OutcomeUnknown: connection lost or timeout after it was sent.
        """
        ...

    async def sessions_taken_over(self, generations: Mapping[str, int]) -> set[str]:
        """Return those of the sessions that have a higher generation. One small read for all.

        :param generations: by session id.
        """
        ...

    async def prune_session_locations(self, age: float) -> int:
        """Remove the locations stored longer ago than ``age`` seconds; return how many.

        :raises OutcomeUnknown: the connection was lost after it was sent.
        """
        ...

    async def ping(self) -> None:
        """Return once the store has responded."""
        ...

    async def check_write(self) -> None:
        """Return once a small write of no consequence is durable; a readiness check.

        It needs new space, as changes do: it fails where the disk is full.

        :raises CommitRefused: the store refuses to write.
        :raises OutcomeUnknown: the connection was lost after it was sent.
        """
        ...

    async def append_audit(self, entries: Mapping[UUID, AuditEntry]) -> None:
        """Append entries to the audit, in their order, all or none.

        :param entries: by keys that are unique: one that is stored already is not stored again.
        :raises CommitRefused: the store refused; nothing was appended.
        :raises OutcomeUnknown: the connection was lost after it was sent; may be repeated.
        """
        ...

    async def audit(self, query: AuditQuery) -> list[AuditRecord]:
        """Return records of the audit, the newest first."""
        ...

    async def wait_interrupted(self, seen: int) -> int:
        """Wait until the store was interrupted more than ``seen`` times; return how often.

        During an interruption another server may have changed the retreats. It counts once it is
        over: from then on no other server changes them, where the store is not :attr:`shared`.
        """
        ...

    def statistics(self) -> StoreStatistics:
        """Return counters; never blocks."""
        ...


Progress = Callable[[int, int], None]
"""Called with the amount done and the total."""


class AdminStore(Store, Protocol):
    """Operators' commands, in addition to what rooms need."""

    async def retreats(self) -> list[str]:
        """Return the slugs of all retreats, sorted."""
        ...

    async def import_retreat(self, seed: RetreatSeed, progress: Progress | None = None) -> int:
        """Add a retreat at revision 0, whole or not at all, and return its id.

        :param progress: called with counts of people.
        :raises RetreatExists: one with this slug exists.
        :raises ValueError: the parts of the seed do not fit together.
        :raises CommitRefused: the store refuses a value.
        :raises OutcomeUnknown: the connection was lost after it was sent.
        """
        ...

    async def delete_retreat(self, slug: str) -> bool:
        """Remove a retreat with its log, and return whether there was one.

        People are kept: they may be registered for other retreats.
        """
        ...

    async def new_epoch(self, slug: str | None = None) -> int:
        """Give one retreat, or all of them, a new epoch, and return how many got one.

        Call it after a backup was restored: revisions that clients have seen may be assigned again
        to other changes.
        """
        ...

    async def prune_log(self, before: datetime, progress: Progress | None = None) -> int:
        """Remove old log entries of all retreats, and return how many.

        Removes the oldest entries of each retreat, up to the first that is not older than
        ``before``: the rest has no gap. Their command ids are removed, too: a repeat counts as a
        new command. Safe while rooms commit; done in small transactions, so that a failure or
        a cancellation leaves some of them pruned.

        :param before: aware.
        :param progress: called with counts of revisions.
        :raises OutcomeUnknown: the connection was lost after it was sent.
        """
        ...

    async def prune_audit(self, before: datetime) -> int:
        """Remove the records of the audit that are older; return how many.

        :param before: aware.
        :raises OutcomeUnknown: the connection was lost after it was sent.
        """
        ...
