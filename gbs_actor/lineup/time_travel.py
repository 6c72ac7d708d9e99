"""A retreat's line-up as it was at an earlier revision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.fields import ATTRIBUTES, Field, FieldKey, FieldValue
from gbs_actor.lineup.records import Group, Registration, Retreat, Stamp


def as_of(
    retreat: Retreat, entries: Iterable[LogEntry], revision: int, at: datetime | None = None
) -> Retreat:
    """Return a retreat with the line-up's fields as of an earlier revision.

    What else is known of people is as it is today; so are the times of their last changes. Who
    registered later is left out, and who was removed since. Of a field that was changed since, the
    stamp has no author, and as its revision the origin of the value. The work is in the size of the
    changes since, and of the retreat.

    :param retreat: as it is today.
    :param entries: those of the log with a higher revision than the given one, newest first;
        none is of a whole retreat.
    :param at: who registered later is left out, aware; ``None``: the time of the first of the
        changes that came after the revision.
    """
    values: dict[FieldKey, FieldValue] = {}
    next_change: datetime | None = None
    for entry in entries:
        values.update((value.key, value) for value in entry.before)
        next_change = entry.at
    until = next_change if at is None else at
    people: dict[int, dict[str, Any]] = {}
    groups = dict(retreat.groups)
    for (id_, number, field), value in values.items():
        stamp = Stamp(min(value.origin, revision))
        if id_ is not None:
            attribute, of_stamp = ATTRIBUTES[field]
            people.setdefault(id_, {}).update({attribute: value.value, of_stamp: stamp})
        elif number is not None:
            groups[number] = _with(groups.get(number) or Group(number), field, value, stamp)
    return dataclasses.replace(
        retreat,
        revision=revision,
        registrations=tuple(
            _as_of(each, people.get(each.id, {}), revision)
            for each in retreat.registrations
            if until is None or each.person.created_at <= until
        ),
        groups={
            number: replace(group, revision=min(group.revision, revision))
            for number, group in groups.items()
        },
        removal_revision=min(retreat.removal_revision, revision),
    )


def _with(group: Group, field: Field, value: FieldValue, stamp: Stamp) -> Group:
    if field is Field.EXISTS:
        return replace(group, deleted=not value.value, stamp=stamp)
    return replace(group, memo=value.value, memo_stamp=stamp)


def _as_of(registration: Registration, changes: dict[str, Any], revision: int) -> Registration:
    row_revision = min(registration.row_revision, revision)
    return replace(registration, row_revision=row_revision, **changes)
