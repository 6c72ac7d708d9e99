"""Compares the rows of a retreat with the outcome of its log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import (
    ATTRIBUTES,
    Field,
    FieldKey,
    FieldValue,
    Value,
    values_of,
    values_of_group,
)
from gbs_actor.lineup.records import NEVER, Group, Memo, Registration, Retreat, Stamp

_SINGLE: Final = {
    Kind.ASSIGN_NUMBER: Field.GBS_NUMBER,
    Kind.CREATE_MEMO: Field.LINEUP_MEMO,
    Kind.UPDATE_MEMO: Field.LINEUP_MEMO,
    Kind.DELETE_MEMO: Field.LINEUP_MEMO,
}
"""The field that these kinds of entry are about."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored value that is not the one that the log leads to."""

    registration_id: int | None
    """``None``: the value belongs to a group or to the retreat itself."""
    field: str
    log: str
    row: str

    def __str__(self) -> str:
        subject = "" if self.registration_id is None else f"registration {self.registration_id}, "
        return f"{subject}{self.field}: log {self.log}, row {self.row}"


@dataclass(frozen=True, slots=True)
class LogFault:
    """An entry that does not fit those before it."""

    revision: int
    reason: str

    def __str__(self) -> str:
        return f"log revision {self.revision}: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Logged:
    """A field according to the log so far."""

    value: Value
    revision: int
    """Of the last entry that names the field."""
    stamp: Stamp | None
    """Of the last entry that changed it; ``None``: none did."""


class Replay:
    """Replays a log, and compares the outcome with the rows.

    It takes the log at its word and decides nothing. What the state was before the first
    entry it does not know, so a log that was pruned serves as well: a field is compared
    as soon as an entry names it, and one that no entry names must not have changed since.

    :param revision: up to which the log was pruned (0: never); the first entry follows it.
    """

    def __init__(self, revision: int = 0) -> None:
        self._start = revision
        self._revision = revision
        self._fields: dict[FieldKey, _Logged] = {}
        self._groups: dict[int, int] = {}
        """Revisions of groups, by number."""
        self._flagged: dict[int, int] = {}
        """Revisions at which people became leaders, or ceased to be: their group has changed."""
        self._changed_at: dict[int, datetime] = {}
        self._external: set[int] = set()
        """Revisions of entries of other programs: they may be those of groups."""
        self.faults: list[LogFault] = []
        """What is wrong with the log itself, so far."""

    def add(self, entry: LogEntry) -> None:
        """Replay the next entry."""
        if entry.revision != self._revision + 1:
            self._fault(entry, f"does not follow {self._revision}")
        self._revision = entry.revision
        if not _is_whole(entry):
            self._fault(entry, f"is no whole entry of the kind {entry.kind}")
            return
        if entry.kind is Kind.EXTERNAL:
            self._forget(entry)
        for before, after in zip(entry.before, entry.after, strict=True):
            self._add_field(entry, before, after)

    def _forget(self, entry: LogEntry) -> None:
        """Take nothing for known that other programs have changed without saying how."""
        self._external.add(entry.revision)
        if entry.whole:
            self._start = entry.revision
            for known in (self._fields, self._groups, self._flagged, self._changed_at):
                known.clear()
        for id_ in entry.removed:
            for field in ATTRIBUTES:
                self._fields.pop((id_, None, field), None)
            self._flagged.pop(id_, None)
            self._changed_at.pop(id_, None)

    def _add_field(self, entry: LogEntry, before: FieldValue, after: FieldValue) -> None:
        known = self._fields.get(before.key)
        if known is not None and known.value != before.value:
            self._fault(
                entry,
                f"rests on {before.field} {_text(before.value)} of {_subject(before.key)}; "
                f"revision {known.revision} left it at {_text(known.value)}",
            )
        stamp = None if known is None else known.stamp
        if after.value != before.value:
            revision = entry.revision
            restored = None if after.origin == revision else after.origin
            stamp = Stamp(revision, entry.author_id, entry.author_name, entry.at, restored)
            if before.registration_id is not None:
                self._changed_at[before.registration_id] = entry.at
                if before.field is Field.IS_LEADER:
                    self._flagged[before.registration_id] = revision
            if before.gbs_number is not None:
                self._groups[before.gbs_number] = revision
            if before.field is Field.GBS_NUMBER:
                # A group that another program has taken somebody out of may have gone since.
                former = None if entry.kind is Kind.EXTERNAL else before.value
                for number in (former, after.value):
                    if isinstance(number, int):
                        self._groups[number] = revision
        self._fields[before.key] = _Logged(after.value, entry.revision, stamp)

    def differences(self, retreat: Retreat) -> list[Difference]:
        """Compare the rows of the retreat with the log, now that all of it was added."""
        found = []
        if retreat.revision != self._revision:
            found.append(_difference(None, "revision", self._revision, retreat.revision))
        rows: dict[int, Registration] = {}
        for registration in retreat.registrations:
            if registration.id in rows:  # loaded once for each live memo
                found.append(
                    _difference(registration.id, Field.LINEUP_MEMO, "one at most", "several")
                )
            rows.setdefault(registration.id, registration)
        for registration in rows.values():
            found.extend(self._differences_of(registration, retreat.revision))
        found.extend(self._missing(rows, retreat.removal_revision))
        groups = dict(self._groups)
        for id_, revision in self._flagged.items():
            number = rows[id_].gbs_number if id_ in rows else None
            if number is not None:
                groups[number] = max(revision, groups.get(number, 0))
        for number in sorted(groups.keys() | retreat.groups.keys()):
            found.extend(
                self._group_differences(number, groups.get(number), retreat.groups.get(number))
            )
        return found

    def _differences_of(
        self, registration: Registration, last_revision: int
    ) -> Iterable[Difference]:
        id_ = registration.id
        for field, value, stamp in values_of(registration):
            yield from self._field_differences((id_, None, field), field, value, stamp)
        changed_at = self._changed_at.get(id_)
        if changed_at is not None and registration.updated_at < changed_at:
            # Later is fine: other programs may have changed the rest of the row since.
            yield _difference(id_, "updatedAt", changed_at, registration.updated_at)
        if registration.row_revision > last_revision:
            limit = f"at most {last_revision}"
            yield _difference(id_, "row revision", limit, registration.row_revision)

    def _group_differences(
        self, number: int, revision: int | None, group: Group | None
    ) -> Iterable[Difference]:
        name = f"group {number}, revision"
        if group is None:
            yield _difference(None, name, revision, "no such group")
            return
        if group.revision in self._external:
            pass  # what changed of its members is no field
        elif revision is None:
            yield from self._unlogged(None, name, group.revision)
        elif group.revision != revision:
            yield _difference(None, name, revision, group.revision)
        for field, value, stamp in values_of_group(group):
            name = f"group {number}, {field}"
            yield from self._field_differences((None, number, field), name, value, stamp)

    def _field_differences(
        self, key: FieldKey, name: str, value: Value, stamp: Stamp
    ) -> Iterable[Difference]:
        id_, logged = key[0], self._fields.get(key)
        if logged is not None and logged.value != value:
            yield _difference(id_, name, _text(logged.value), _text(value))
        if logged is None or logged.stamp is None:
            yield from self._unlogged(id_, f"{name} revision", stamp.revision)
        elif stamp != logged.stamp:
            yield from _stamp_differences(id_, name, logged.stamp, stamp)

    def _unlogged(
        self, registration_id: int | None, field: str, revision: int
    ) -> Iterable[Difference]:
        """Find a change that the log has no entry of."""
        if revision > self._start:
            limit = f"at most {self._start}" if self._start else "no change"
            yield _difference(registration_id, field, limit, revision)

    def _missing(
        self, rows: dict[int, Registration], removal_revision: int
    ) -> Iterable[Difference]:
        """Find registrations that the log names and that are not there."""
        last: dict[int, int] = {}
        for (id_, _, _), field in self._fields.items():
            if id_ is not None:
                last[id_] = max(field.revision, last.get(id_, 0))
        for id_, revision in last.items():
            if id_ not in rows and revision > removal_revision:
                yield _difference(id_, "registration", f"revision {revision}", "not there")

    def _fault(self, entry: LogEntry, reason: str) -> None:
        self.faults.append(LogFault(entry.revision, reason))


def _is_whole(entry: LogEntry) -> bool:
    """Whether an entry has a value before and after for each of its fields, and the right ones."""
    keys = [value.key for value in entry.before]
    if keys != [value.key for value in entry.after]:
        return False
    field = _SINGLE.get(entry.kind)
    return field is None or keys[:1] == [(entry.registration_id, None, field)]


def _stamp_differences(id_: int | None, field: str, log: Stamp, row: Stamp) -> Iterable[Difference]:
    if row == NEVER:
        yield _difference(id_, f"{field} revision", log.revision, "no change")
        return
    for part, logged, stored in (
        ("revision", log.revision, row.revision),
        ("restored origin", log.restored_origin, row.restored_origin),
        ("author", log.author_id, row.author_id),
        ("author's name", log.author_name, row.author_name),
        ("time", log.at, row.at),
    ):
        if logged != stored:
            yield _difference(id_, f"{field} {part}", logged, stored)


def _difference(id_: int | None, field: str, log: object, row: object) -> Difference:
    return Difference(id_, field, str(log), str(row))


def _subject(key: FieldKey) -> str:
    registration_id, gbs_number, _ = key
    return f"group {gbs_number}" if registration_id is None else f"registration {registration_id}"


def _text(value: Value) -> str:
    match value:
        case None:
            return "none"
        case Memo(id=memo_id, text=text, color=color):
            return " ".join(filter(None, (f"#{memo_id}", f'"{text}"', color)))
        case str():
            return f'"{value}"'
        case _:
            return str(value)
