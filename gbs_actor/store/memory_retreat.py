"""One retreat in a memory store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile
from uuid import UUID

from msgspec.structs import replace

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Group, Registration
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.store.history import HistoryQuery, StoredGroup
from gbs_actor.store.memory_lock import RetreatLock
from gbs_actor.store.protocol import (
    DELTA_LIMIT,
    Attempt,
    Delta,
    DeltaEntry,
    RepeatedCommands,
    RetreatVersion,
)
from gbs_actor.store.writes import Writes


@dataclass(slots=True)
class StoredRetreat:
    """What a load reads, and the log."""

    id: int
    title: str
    epoch: str
    registrations: dict[int, Registration]
    groups: dict[int, Group]
    stored_groups: dict[int, StoredGroup]
    schedules: tuple[Schedule, ...]
    roles: dict[int, str]
    memos: set[int]
    """Ids of all line-up memos, deleted ones included."""
    revision: int = 0
    pruned_revision: int = 0
    removal_revision: int = 0
    full_revision: int = 0
    """Of the last change after which all of it has to be loaded."""
    log: list[LogEntry] = field(default_factory=list)
    commands: dict[UUID, LogEntry] = field(default_factory=dict)
    attempts: dict[UUID, int] = field(default_factory=dict)
    """Those that the log has entries of, with the revision of the last one."""
    lock: RetreatLock = field(default_factory=RetreatLock)

    @property
    def version(self) -> RetreatVersion:
        """The version that a load would have."""
        return RetreatVersion(self.id, self.revision, self.epoch, self.removal_revision)

    def is_at(self, epoch: str, revision: int) -> bool:
        """Return whether it is in this epoch, at this revision."""
        return (self.epoch, self.revision) == (epoch, revision)

    def delta(self, epoch: str, revision: int) -> Delta:
        """See :meth:`~gbs_actor.store.protocol.Store.delta`."""
        registrations = tuple(r for r in self.registrations.values() if r.revision > revision)
        groups = tuple(g for _, g in sorted(self.groups.items()) if g.revision > revision)
        if (
            epoch != self.epoch
            or not max(self.pruned_revision, self.full_revision) <= revision <= self.revision
            or self.revision - revision > DELTA_LIMIT
            or len(registrations) + len(groups) > DELTA_LIMIT
        ):
            return Delta(self.version, complete=False)
        entries = tuple(_delta_entry(entry) for entry in self.log if entry.revision > revision)
        return Delta(self.version, True, registrations, groups, entries)

    def append(self, entry: LogEntry) -> None:
        """Append an entry to the log."""
        self.log.append(entry)
        self.commands[entry.command_id] = entry

    def prune(self, before: datetime) -> int:
        """Remove the entries of the log up to the first that is not older; return how many."""
        old = list(takewhile(lambda entry: entry.at < before, self.log))
        for entry in old:
            del self.commands[entry.command_id]
            self.pruned_revision = entry.revision
        del self.log[: len(old)]
        pruned = self.pruned_revision
        self.attempts = {key: last for key, last in self.attempts.items() if last > pruned}
        return len(old)

    def select(self, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """Return the log entries of these commands, as far as there are any."""
        return {key: self.commands[key] for key in ids if key in self.commands}

    def history(self, query: HistoryQuery) -> list[LogEntry]:
        """Return the log entries that a query asks for, newest first."""
        newest_first = reversed(self.log)
        return list(islice((each for each in newest_first if _is_wanted(each, query)), query.limit))

    def commit(
        self, attempt: Attempt, writes: Writes, group_ids: Iterator[int], now: datetime
    ) -> Delta | None:
        """Check everything, then change everything: otherwise nothing has changed.

        :param writes: those of the attempt's changes.
        :param group_ids: gives the ids of new groups.
        :param now: when groups are created whose change has no time.
        :returns: see :meth:`~gbs_actor.store.protocol.Store.commit`.
        :raises RepeatedCommands: one of the commands is in the log.
        """
        changes = attempt.changes
        if not self.is_at(attempt.epoch, attempt.expected_revision):
            return self.delta(attempt.epoch, attempt.expected_revision)
        if repeated := self.select(attempt.repeatable):
            raise RepeatedCommands(repeated)
        if not self._rows_are_as_expected(writes):
            return Delta(self.version, complete=False)
        if repeated := self.select([change.command_id for change in changes]):
            raise RepeatedCommands(repeated)
        for registration in writes.registrations:
            known = self.registrations[registration.id]
            self.registrations[registration.id] = replace(registration, person=known.person)
        self.memos.update(memo.id for memo in writes.memos)
        for group in writes.groups:
            self.groups[group.number] = group
            if group.number not in self.stored_groups:
                created_at = group.stamp.at or now
                new = StoredGroup(next(group_ids), created_at)
                self.stored_groups[group.number] = new
        for change in changes:
            self.append(LogEntry.of(change))
        self.revision += len(changes)
        if changes:
            self.attempts[attempt.id] = self.revision
        return None

    def _rows_are_as_expected(self, writes: Writes) -> bool:
        """Return whether the rows to be written are in the state that the changes expect.

        A registration or its group may be missing, or a memo be live that should not be, or the
        other way round.
        """
        groups = self.groups.keys() | {group.number for group in writes.groups}
        for registration in writes.registrations:
            if registration.id not in self.registrations:
                return False
            if registration.gbs_number is not None and registration.gbs_number not in groups:
                return False
        touched = (self.registrations[memo.registration_id] for memo in writes.memos)
        live = {row.id: row.memo.id for row in touched if row.memo is not None}
        for memo in sorted(writes.memos, key=lambda memo: not memo.deleted):
            if memo.created:
                if not memo.deleted and live.setdefault(memo.registration_id, memo.id) != memo.id:
                    return False
            elif live.get(memo.registration_id) != memo.id:
                return False
            elif memo.deleted:
                del live[memo.registration_id]
        return True


def _delta_entry(entry: LogEntry) -> DeltaEntry:
    addressed = {value.registration_id for value in entry.after} | {entry.registration_id}
    addressed.update(entry.removed)
    return DeltaEntry(
        revision=entry.revision,
        command_id=entry.command_id,
        author_id=entry.author_id,
        author_name=entry.author_name,
        kind=entry.kind,
        request=entry.request,
        registration_ids=tuple(sorted(key for key in addressed if key is not None)),
        at=entry.at,
        removed=entry.removed,
    )


def _is_wanted(entry: LogEntry, query: HistoryQuery) -> bool:
    values = (*entry.before, *entry.after)
    people = {entry.registration_id, *(value.registration_id for value in values)}
    groups = {value.gbs_number for value in values}
    groups |= {
        value.value
        for value in values
        if value.field is Field.GBS_NUMBER and isinstance(value.value, int)
    }
    return (
        (query.before is None or entry.revision < query.before)
        and (query.after is None or entry.revision > query.after)
        and (query.registration_id is None or query.registration_id in people)
        and (query.gbs_number is None or query.gbs_number in groups)
        and query.user_id in (None, entry.author_id)
    )
