"""What other programs change, in a memory store: the model of what is absorbed of a database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import ATTRIBUTES, FieldValue, value_in
from gbs_actor.lineup.records import Group, Registration, Stamp
from gbs_actor.store.memory_retreat import StoredRetreat

EXTERNAL: Final = "external"
"""The name of the author of what other programs have changed."""
_REQUEST: Final = b'{"action":"external"}'


def absorb(
    stored: StoredRetreat,
    registrations: Iterable[Registration],
    removed: Iterable[int],
    *,
    whole: bool,
    command_id: UUID,
    at: datetime,
) -> None:
    """Let registrations be as another program has made them, as of one revision of the retreat.

    :param registrations: changed and new ones; their stamps and revisions do not count.
    :param removed: ids of those that are no more.
    :param whole: whether everybody has to load the retreat anew.
    :param command_id: of the entry in the log.
    """
    revision = stored.revision + 1
    stamp = Stamp(revision, None, EXTERNAL, at)
    before: list[FieldValue] = []
    after: list[FieldValue] = []
    touched: set[int | None] = set()
    for latter in registrations:
        former = stored.registrations.get(latter.id) or _blank(latter)
        fields: dict[str, Stamp] = {}
        for field, (_, of_stamp) in ATTRIBUTES.items():
            (value, last), (wanted, _) = value_in(former, field), value_in(latter, field)
            fields[of_stamp] = last
            if value != wanted:
                fields[of_stamp] = stamp
                before.append(FieldValue(field, value, last.origin, latter.id))
                after.append(FieldValue(field, wanted, revision, latter.id))
        touched |= {former.gbs_number, latter.gbs_number}
        stored.registrations[latter.id] = replace(
            latter, row_revision=revision, updated_at=at, **fields
        )
    gone = tuple(id_ for id_ in removed if id_ in stored.registrations)
    for id_ in gone:
        touched.add(stored.registrations.pop(id_).gbs_number)
    for number in touched - {None}:
        assert number is not None
        group = stored.groups.get(number) or Group(number)
        stored.groups[number] = replace(group, revision=revision)
    stored.revision = revision
    if whole or gone:
        stored.removal_revision = revision
    if whole:
        stored.full_revision = revision
    stored.append(
        LogEntry(
            revision=revision,
            command_id=command_id,
            author_id=None,
            author_name=EXTERNAL,
            kind=Kind.EXTERNAL,
            registration_id=None,
            request=_REQUEST,
            before=tuple(before),
            after=tuple(after),
            at=at,
            removed=gone,
            whole=whole,
        )
    )


def _blank(registration: Registration) -> Registration:
    """Return a registration before anything was done to it."""
    return Registration(registration.id, registration.person, None, registration.updated_at)
