"""Compares the rows of a retreat with the outcome of its log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gbs_actor.lineup.changes import FieldValue, LogEntry, MemoValue, NumberValue
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.records import NEVER, Registration, Retreat, Stamp

NUMBER: Final = "gbsNumber"
MEMO: Final = "lineupMemo"


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
class _Field:
    """A field according to the log so far."""

    value: FieldValue
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
        self._fields: dict[tuple[int, str], _Field] = {}
        self._groups: dict[int, int] = {}
        self._changed_at: dict[int, datetime] = {}
        self.faults: list[LogFault] = []
        """What is wrong with the log itself, so far."""

    def add(self, entry: LogEntry) -> None:
        """Replay the next entry."""
        if entry.revision != self._revision + 1:
            self._fault(entry, f"does not follow {self._revision}")
        self._revision = entry.revision
        if entry.kind is Kind.FENCE:
            return
        field, before, after = _field_of(entry.kind), entry.before, entry.after
        if entry.registration_id is None or _field(before) != field or _field(after) != field:
            self._fault(entry, f"is no whole entry of the kind {entry.kind}")
            return
        assert before is not None
        assert after is not None
        key = entry.registration_id, field
        known = self._fields.get(key)
        if known is not None and known.value != before:
            self._fault(
                entry,
                f"rests on {field} {_text(before)} of registration {entry.registration_id}; "
                f"revision {known.revision} left it at {_text(known.value)}",
            )
        stamp = None if known is None else known.stamp
        if after != before:
            stamp = Stamp(entry.revision, entry.author_id, entry.author_name, entry.at)
            self._changed_at[entry.registration_id] = entry.at
            for value in (before, after):
                if isinstance(value, NumberValue) and value.gbs_number is not None:
                    self._groups[value.gbs_number] = entry.revision
        self._fields[key] = _Field(after, entry.revision, stamp)

    def differences(self, retreat: Retreat) -> list[Difference]:
        """Compare the rows of the retreat with the log, now that all of it was added."""
        found = []
        if retreat.revision != self._revision:
            found.append(_difference(None, "revision", self._revision, retreat.revision))
        rows: dict[int, Registration] = {}
        for registration in retreat.registrations:
            if registration.id in rows:  # loaded once for each live memo
                found.append(_difference(registration.id, MEMO, "one at most", "several"))
            rows.setdefault(registration.id, registration)
        for registration in rows.values():
            found.extend(self._differences_of(registration, retreat.revision))
        found.extend(self._missing(rows, retreat.removal_revision))
        for number in sorted(self._groups.keys() | retreat.groups.keys()):
            group = retreat.groups.get(number)
            revision = self._groups.get(number)
            field = f"group {number}, revision"
            if group is None:
                found.append(_difference(None, field, revision, "no such group"))
            elif revision is None:
                found.extend(self._unlogged(None, field, group.revision))
            elif group.revision != revision:
                found.append(_difference(None, field, revision, group.revision))
        return found

    def _differences_of(
        self, registration: Registration, last_revision: int
    ) -> Iterable[Difference]:
        id_ = registration.id
        for name, value, stamp in (
            (NUMBER, NumberValue(registration.gbs_number), registration.number_stamp),
            (MEMO, _memo_value(registration), registration.memo_stamp),
        ):
            field = self._fields.get((id_, name))
            if field is not None and field.value != value:
                yield _difference(id_, name, _text(field.value), _text(value))
            if field is None or field.stamp is None:
                yield from self._unlogged(id_, f"{name} revision", stamp.revision)
            elif stamp != field.stamp:
                yield from _stamp_differences(id_, name, field.stamp, stamp)
        changed_at = self._changed_at.get(id_)
        if changed_at is not None and registration.updated_at < changed_at:
            # Later is fine: other programs may have changed the rest of the row since.
            yield _difference(id_, "updatedAt", changed_at, registration.updated_at)
        if registration.row_revision > last_revision:
            limit = f"at most {last_revision}"
            yield _difference(id_, "row revision", limit, registration.row_revision)

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
        for (id_, _), field in self._fields.items():
            last[id_] = max(field.revision, last.get(id_, 0))
        for id_, revision in last.items():
            if id_ not in rows and revision > removal_revision:
                yield _difference(id_, "registration", f"revision {revision}", "not there")

    def _fault(self, entry: LogEntry, reason: str) -> None:
        self.faults.append(LogFault(entry.revision, reason))


def _field_of(kind: Kind) -> str:
    return NUMBER if kind is Kind.ASSIGN_NUMBER else MEMO


def _field(value: FieldValue | None) -> str | None:
    match value:
        case NumberValue():
            return NUMBER
        case MemoValue():
            return MEMO
        case None:
            return None


def _memo_value(registration: Registration) -> MemoValue:
    memo = registration.memo
    return MemoValue() if memo is None else MemoValue(memo.id, memo.text, memo.color)


def _stamp_differences(id_: int, field: str, log: Stamp, row: Stamp) -> Iterable[Difference]:
    if row == NEVER:
        yield _difference(id_, f"{field} revision", log.revision, "no change")
        return
    for part, logged, stored in (
        ("revision", log.revision, row.revision),
        ("author", log.author_id, row.author_id),
        ("author's name", log.author_name, row.author_name),
        ("time", log.at, row.at),
    ):
        if logged != stored:
            yield _difference(id_, f"{field} {part}", logged, stored)


def _difference(id_: int | None, field: str, log: object, row: object) -> Difference:
    return Difference(id_, field, str(log), str(row))


def _text(value: FieldValue) -> str:
    match value:
        case NumberValue(gbs_number=number):
            return "none" if number is None else str(number)
        case MemoValue(memo_id=None):
            return "none"
        case MemoValue(memo_id=memo_id, text=text, color=color):
            return " ".join(filter(None, (f"#{memo_id}", f'"{text}"', color)))
