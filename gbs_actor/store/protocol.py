"""What a room needs from durable storage, and the ways in which that can fail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.records import Retreat
from gbs_actor.store.seed.seed import RetreatSeed


class StoreError(Exception):
    """Base of everything a store raises on purpose."""


class StoreUnavailable(StoreError):
    """The store cannot be reached; nothing was sent to it, so nothing has changed."""


class CommitRefused(StoreError):
    """The store answered with an error; nothing of the commit took effect.

    ``data_error`` is true where the values themselves are at fault, so that the same
    commit can never succeed.
    """

    def __init__(self, message: str, *, data_error: bool = False) -> None:
        super().__init__(message)
        self.data_error = data_error


class StaleRevision(StoreError):
    """The retreat is no longer at the expected revision; nothing took effect."""


class RepeatedCommands(StoreError):
    """Some of the commands are in the log already; nothing took effect.

    ``entries`` maps their ids to what the log has of them.
    """

    def __init__(self, entries: Mapping[UUID, LogEntry]) -> None:
        super().__init__(f"{len(entries)} of the commands are in the log already")
        self.entries = entries


class OutcomeUnknown(StoreError):
    """A commit was sent and its answer lost: it may have, or may still, take effect."""


class RetreatExists(StoreError):
    """A retreat with this slug is there already."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"there is a retreat {slug!r} already")
        self.slug = slug


@dataclass(frozen=True, slots=True)
class RetreatVersion:
    """Which state of a retreat the store has: equal versions are equal states."""

    revision: int
    """Of the last change."""
    epoch: str
    """Opaque; another one whenever revisions start anew."""
    removal_revision: int
    """Of the last change that removed a registration (0: none did)."""


@dataclass(frozen=True, slots=True)
class SessionLocation:
    """The room that a recoverable session is in, and since which revision.

    A client that returns sends an offset: the revision of the last event it received, of
    whatever room.
    """

    slug: str
    epoch: str
    """The retreat's when the room was joined."""
    joined_revision: int
    """The room's when it was joined: a lower offset is from before that."""
    known_elsewhere: int
    """The highest offset the client may have from another room; -1: it has none."""

    def since(self, offset: int) -> int | None:
        """Return the revision to resume from; ``None``: send the whole list.

        An offset that is lower than what was joined shows that nothing from the room has
        arrived yet. One that may be another room's counts as the lowest it can be.
        """
        if offset < self.joined_revision:
            return None
        return self.joined_revision if offset <= self.known_elsewhere else offset


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """A store at one moment. Counters run since it was opened."""

    kind: str
    """``"postgres"`` or ``"memory"``."""
    available: bool
    """Whether the last contact succeeded."""
    commits: int
    """Commits that succeeded."""
    commit_failures: int
    """Commits that failed, for whatever reason."""
    unknown_outcomes: int
    """Commits whose answer was lost."""
    terminated_connections: int
    """Connections that a deadline or a failure ended."""
    open_connections: int
    idle_connections: int
    background_errors: int
    """Errors of the driver that belonged to no call."""


class Store(Protocol):
    """Durable retreats: their current state and the log of how it came about.

    Every method may raise :exc:`StoreUnavailable`. A cancelled read has no effect, a
    cancelled commit an unknown one (rooms shield theirs).
    """

    async def load(self, slug: str) -> Retreat | None:
        """Return the retreat as of one consistent moment, or ``None`` where there is none."""
        ...

    async def version(self, slug: str) -> RetreatVersion | None:
        """Return the version that :meth:`load` would load, without loading it.

        ``None`` where there is no such retreat. It costs one small read.
        """
        ...

    async def commit(
        self,
        retreat_id: int,
        expected_revision: int,
        changes: Sequence[Change],
        repeatable: Collection[UUID] = (),
    ) -> None:
        """Make changes durable, all or none of them, in one transaction.

        :param expected_revision: the revision the changes rest on; the first change has
            the next one, and each further one is one higher.
        :param changes: in the order of their revisions; may be empty.
        :param repeatable: ids of commands that may be in the log already. If any is,
            nothing is committed and :exc:`RepeatedCommands` holds their entries; so one
            round trip both looks them up and commits.
        :raises ValueError: the changes are not numbered from ``expected_revision + 1``.
        :raises RepeatedCommands: one of ``repeatable`` is in the log.
        :raises StaleRevision: the retreat is at another revision, or a row to be
            changed is not there.
        :raises CommitRefused: the store refused; nothing took effect.
        :raises OutcomeUnknown: connection lost, time-out or cancellation under way.
        """
        ...

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """Return the log entries of these command ids, as far as there are any."""
        ...

    async def reserve_memo_ids(self, count: int) -> range:
        """Reserve ``count`` fresh memo ids; those not used are lost, which is fine.

        :raises ValueError: ``count`` is not positive.
        """
        ...

    async def log(
        self, retreat_id: int, *, after_revision: int = 0, limit: int = 1_000
    ) -> list[LogEntry]:
        """Return at most ``limit`` log entries after ``after_revision``, ascending."""
        ...

    async def role_in_retreat(self, slug: str, user_id: int) -> str | None:
        """Return the role that a grant gives this user in this retreat, if there is one."""
        ...

    async def update_session_locations(
        self, locations: Mapping[str, SessionLocation | None]
    ) -> None:
        """Store where sessions are; ``None``: remove it.

        A location may be lost where the store crashes; a removal is durable.

        :param locations: by session id, which the store keeps as a hash only.
        :raises CommitRefused: the store refused; nothing has changed.
        :raises OutcomeUnknown: connection lost or time-out under way; it may be repeated.
        """
        ...

    async def find_session_location(self, sid: str) -> SessionLocation | None:
        """Return where a session is, if that was stored and neither removed nor pruned."""
        ...

    async def prune_session_locations(self, age: float) -> int:
        """Remove the locations stored longer ago than ``age`` seconds; return how many.

        :raises OutcomeUnknown: the connection was lost under way.
        """
        ...

    async def ping(self) -> None:
        """Return once the store has answered; a readiness check."""
        ...

    async def wait_interrupted(self, seen: int) -> int:
        """Wait until the store was interrupted more than ``seen`` times; return how often.

        In an interruption another server may have had the retreats, and changed them. It
        counts once it is over: what is read from then on is not changed by others.
        """
        ...

    def statistics(self) -> StoreStatistics:
        """Return counters; never blocks."""
        ...


Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is in all."""


class AdminStore(Store, Protocol):
    """What operators do with retreats, beside what rooms need."""

    async def retreats(self) -> list[str]:
        """Return the slugs of all retreats, sorted."""
        ...

    async def import_retreat(self, seed: RetreatSeed, progress: Progress | None = None) -> int:
        """Add a retreat at revision 0, whole or not at all, and return its id.

        :param progress: called with people.
        :raises RetreatExists: there is one with this slug.
        :raises ValueError: the parts of the seed do not fit together.
        :raises CommitRefused: the store does not take one of the values.
        :raises OutcomeUnknown: the connection was lost under way.
        """
        ...

    async def delete_retreat(self, slug: str) -> bool:
        """Remove a retreat with its log, and return whether there was one.

        The people stay: they are not the retreat's alone.
        """
        ...

    async def new_epoch(self, slug: str | None = None) -> int:
        """Give one retreat, or all of them, a new epoch, and return how many got one.

        To be done after a backup was restored: revisions that clients have seen may come
        again, with other content.
        """
        ...

    async def prune_log(self, before: datetime, progress: Progress | None = None) -> int:
        """Remove old log entries of all retreats, and return how many.

        Of each retreat the oldest ones, up to the first that is not older than ``before``:
        what is left has no gap. Their command ids end with them, so that a repeat is decided
        anew. Safe while rooms commit; done in small transactions, so that a failure or a
        cancellation leaves a part of them pruned.

        :param before: aware.
        :param progress: called with revisions.
        :raises OutcomeUnknown: the connection was lost under way.
        """
        ...

    async def pruned_revision(self, retreat_id: int) -> int:
        """Return the revision up to which the log was pruned (0: never)."""
        ...
