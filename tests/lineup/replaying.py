"""A line-up rebuilt from its log alone: what tests compare boards with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from msgspec.structs import replace

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry, MemoValue, NumberValue
from gbs_actor.lineup.records import Group, Memo, Registration, Retreat, Stamp


def replay(retreat: Retreat, entries: Iterable[LogEntry]) -> Board:
    """Return the board that a retreat and the log entries after it amount to.

    It takes the log at its word and decides nothing, so it can be used to check what
    was decided.

    :param retreat: the state before the first entry.
    :param entries: in the order of their revisions, without a gap.
    :raises ValueError: an entry does not follow the one before it, or its ``before`` is
        not what the line-up has at that point.
    """
    registrations = {each.id: each for each in retreat.registrations}
    groups = dict(retreat.groups)
    revision = retreat.revision
    for entry in entries:
        if entry.revision != revision + 1:
            raise ValueError(f"log entry {entry.revision} does not follow {revision}")
        revision = entry.revision
        if entry.registration_id is None:
            continue
        registration = registrations.get(entry.registration_id)
        if registration is None or _value(registration, entry) != entry.before:
            raise ValueError(f"log entry {revision} does not fit the line-up before it")
        if entry.after == entry.before:
            continue
        changed = _changed(registration, entry)
        registrations[changed.id] = changed
        if changed.gbs_number != registration.gbs_number:
            for number in (registration.gbs_number, changed.gbs_number):
                if number is not None:
                    groups[number] = replace(groups.get(number, Group(number)), revision=revision)
    return Board(
        dataclasses.replace(
            retreat,
            revision=revision,
            registrations=tuple(registrations.values()),
            groups=groups,
        )
    )


def _value(registration: Registration, entry: LogEntry) -> NumberValue | MemoValue:
    if isinstance(entry.before, NumberValue):
        return NumberValue(registration.gbs_number)
    memo = registration.memo
    return MemoValue() if memo is None else MemoValue(memo.id, memo.text, memo.color)


def _changed(registration: Registration, entry: LogEntry) -> Registration:
    stamp = Stamp(entry.revision, entry.author_id, entry.author_name, entry.at)
    after = entry.after
    if isinstance(after, NumberValue):
        return replace(
            registration, gbs_number=after.gbs_number, number_stamp=stamp, updated_at=entry.at
        )
    memo = None
    if after is not None and after.memo_id is not None:
        memo = Memo(after.memo_id, after.text, after.color)
    return replace(registration, memo=memo, memo_stamp=stamp, updated_at=entry.at)
