"""A line-up rebuilt from its log alone: what tests compare boards with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.records import Group, Registration, Retreat, Stamp

_MEMBERS = {
    Field.GBS_NUMBER: ("gbs_number", "number_stamp"),
    Field.IS_LEADER: ("is_leader", "leader_stamp"),
    Field.CURRENT_LEADER: ("current_leader", "current_leader_stamp"),
    Field.LINEUP_NUMBER: ("lineup_number", "lineup_number_stamp"),
    Field.LINEUP_MEMO: ("memo", "memo_stamp"),
}


def replay(retreat: Retreat, entries: Iterable[LogEntry]) -> Board:
    """Return the board that a retreat and the log entries after it amount to.

    It takes the log at its word and decides nothing, so it can be used to check what
    was decided.

    :param retreat: the state before the first entry.
    :param entries: in the order of their revisions, without a gap.
    :raises ValueError: an entry does not follow the one before it, or its ``before`` is
        not what the line-up has at that point.
    """
    people = {each.id: each for each in retreat.registrations}
    groups = {number: Group(number) for each in people.values() if (number := each.gbs_number)}
    groups |= dict(retreat.groups)
    revision = retreat.revision
    for entry in entries:
        if entry.revision != revision + 1:
            raise ValueError(f"log entry {entry.revision} does not follow {revision}")
        revision = entry.revision
        if [_current(people, groups, value) for value in entry.before] != list(entry.before):
            raise ValueError(f"log entry {revision} does not fit the line-up before it")
        touched = _touched(people, entry)
        for before, after in zip(entry.before, entry.after, strict=True):
            if before.value != after.value:
                _write(people, groups, entry, after)
        for id_ in _leaders(entry):
            touched.add(people[id_].gbs_number)
        for number in touched - {None}:
            assert number is not None
            groups[number] = replace(groups.get(number, Group(number)), revision=revision)
    return Board(
        dataclasses.replace(
            retreat, revision=revision, registrations=tuple(people.values()), groups=groups
        )
    )


def _leaders(entry: LogEntry) -> list[int]:
    """Who became a leader by an entry, or ceased to be one."""
    return [
        after.registration_id
        for before, after in zip(entry.before, entry.after, strict=True)
        if after.field is Field.IS_LEADER
        and before.value != after.value
        and after.registration_id is not None
    ]


def _touched(people: dict[int, Registration], entry: LogEntry) -> set[int | None]:
    numbers: set[Any] = {people[id_].gbs_number for id_ in _leaders(entry)}
    for before, after in zip(entry.before, entry.after, strict=True):
        if before.value != after.value:
            numbers.add(after.gbs_number)
            if after.field is Field.GBS_NUMBER:
                numbers |= {before.value, after.value}
    return numbers


def _current(
    people: dict[int, Registration], groups: dict[int, Group], value: FieldValue
) -> FieldValue | None:
    if value.registration_id is not None:
        person = people.get(value.registration_id)
        if person is None:
            return None
        name, stamp = _MEMBERS[value.field]
        return replace(value, value=getattr(person, name), origin=getattr(person, stamp).origin)
    assert value.gbs_number is not None
    group = groups.get(value.gbs_number, Group(value.gbs_number, deleted=True))
    if value.field is Field.GBS_MEMO:
        return replace(value, value=group.memo, origin=group.memo_stamp.origin)
    return replace(value, value=not group.deleted, origin=group.stamp.origin)


def _write(
    people: dict[int, Registration], groups: dict[int, Group], entry: LogEntry, value: FieldValue
) -> None:
    revision = entry.revision
    restored = None if value.origin == revision else value.origin
    stamp = Stamp(revision, entry.author_id, entry.author_name, entry.at, restored)
    if value.registration_id is not None:
        name, of_stamp = _MEMBERS[value.field]
        changes: dict[str, Any] = {name: value.value, of_stamp: stamp, "updated_at": entry.at}
        person = people[value.registration_id]
        people[person.id] = replace(person, **changes)
        return
    assert value.gbs_number is not None
    group = groups.get(value.gbs_number, Group(value.gbs_number, deleted=True))
    if value.field is Field.GBS_MEMO:
        assert isinstance(value.value, str)
        group = replace(group, memo=value.value, memo_stamp=stamp)
    else:
        group = replace(group, deleted=not value.value, stamp=stamp)
    groups[group.number] = group
