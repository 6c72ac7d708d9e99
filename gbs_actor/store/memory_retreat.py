"""One retreat in a memory store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID

from msgspec.structs import replace

from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Group, Registration
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.store.history import HistoryQuery, StoredGroup
from gbs_actor.store.protocol import RepeatedCommands, StaleRevision
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
    log: list[LogEntry] = field(default_factory=list)
    commands: dict[UUID, LogEntry] = field(default_factory=dict)

    def select(self, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """Return the log entries of these commands, as far as there are any."""
        return {key: self.commands[key] for key in ids if key in self.commands}

    def history(self, query: HistoryQuery) -> list[LogEntry]:
        """Return the log entries that a query asks for, newest first."""
        newest_first = reversed(self.log)
        return list(islice((each for each in newest_first if _is_wanted(each, query)), query.limit))

    def commit(
        self,
        changes: Sequence[Change],
        writes: Writes,
        repeatable: Collection[UUID],
        group_ids: Iterator[int],
        now: datetime,
    ) -> None:
        """Check everything, then change everything: after an exception nothing has changed.

        :param changes: the first of them follows the revision.
        :param writes: what they write.
        :param repeatable: see :meth:`~gbs_actor.store.protocol.Store.commit`.
        :param group_ids: gives the ids of new groups.
        :param now: when groups are created whose change has no time.
        :raises RepeatedCommands: one of the commands is in the log.
        :raises StaleRevision: a row is not in the state that the changes expect.
        """
        if repeated := self.select(repeatable):
            raise RepeatedCommands(repeated)
        self._check_rows(writes)
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
            entry = LogEntry.of(change)
            self.log.append(entry)
            self.commands[entry.command_id] = entry
        self.revision += len(changes)

    def _check_rows(self, writes: Writes) -> None:
        """Refuse writes to rows that are not in the state that the changes expect.

        :raises StaleRevision: a registration or its group is missing, or a memo is live that should
            not be, or the other way round.
        """
        groups = self.groups.keys() | {group.number for group in writes.groups}
        for registration in writes.registrations:
            if registration.id not in self.registrations:
                raise StaleRevision(f"registration {registration.id} is not there")
            if registration.gbs_number is not None and registration.gbs_number not in groups:
                raise StaleRevision(f"group {registration.gbs_number} is not there")
        touched = (self.registrations[memo.registration_id] for memo in writes.memos)
        live = {row.id: row.memo.id for row in touched if row.memo is not None}
        for memo in sorted(writes.memos, key=lambda memo: not memo.deleted):
            if memo.created:
                if not memo.deleted and live.setdefault(memo.registration_id, memo.id) != memo.id:
                    raise StaleRevision(f"registration {memo.registration_id} has a memo already")
            elif live.get(memo.registration_id) != memo.id:
                raise StaleRevision(f"memo {memo.id} is not there")
            elif memo.deleted:
                del live[memo.registration_id]


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
