"""A batch of changes as the fewest row writes that have the same effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.records import Group, Memo, Registration


class MemoWrite(msgspec.Struct, frozen=True, gc=False):
    """The final state of one line-up memo in a batch."""

    id: int
    registration_id: int
    text: str
    color: str
    created: bool
    """The batch creates it: it must not exist yet. Otherwise it must be live."""
    deleted: bool
    """The batch deletes it: it is kept, but no longer live."""
    author_id: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Writes:
    """The last state of every row that a batch touches."""

    registrations: tuple[Registration, ...]
    groups: tuple[Group, ...]
    memos: tuple[MemoWrite, ...]


def check_revisions(expected_revision: int, changes: Sequence[Change]) -> None:
    """Refuse changes that are not numbered from ``expected_revision + 1`` upwards.

    :raises ValueError: they are not, which is a bug of the caller.
    """
    for offset, change in enumerate(changes, start=1):
        if change.revision != expected_revision + offset:
            raise ValueError(
                f"change {offset} after revision {expected_revision} is numbered {change.revision}"
            )


def collapse(changes: Sequence[Change]) -> Writes:
    """Return the last write to each registration, group and memo of a batch."""
    registrations: dict[int, Registration] = {}
    groups: dict[int, Group] = {}
    memos: dict[int, MemoWrite] = {}
    for change in changes:
        for group in change.groups:
            groups[group.number] = group
        for registration in change.registrations:
            registrations[registration.id] = registration
        for before, after in zip(change.before, change.after, strict=True):
            if after.field is Field.LINEUP_MEMO and before.value != after.value:
                _note_memo(memos, change, before, after)
    return Writes(tuple(registrations.values()), tuple(groups.values()), tuple(memos.values()))


def _note_memo(
    memos: dict[int, MemoWrite], change: Change, before: FieldValue, after: FieldValue
) -> None:
    """Merge a change of a registration's memo into ``memos``."""
    assert after.registration_id is not None
    author_id = change.author.user_id if change.author is not None else None
    old = before.value if isinstance(before.value, Memo) else None
    new = after.value if isinstance(after.value, Memo) else None
    if old is not None and (new is None or old.id != new.id):
        known = memos.get(old.id)
        memos[old.id] = MemoWrite(
            id=old.id,
            registration_id=after.registration_id,
            text=known.text if known else old.text,
            color=known.color if known else old.color,
            created=known is not None and known.created,
            deleted=True,
            author_id=author_id,
            at=change.at,
        )
    if new is not None:
        known = memos.get(new.id)
        memos[new.id] = MemoWrite(
            id=new.id,
            registration_id=after.registration_id,
            text=new.text,
            color=new.color,
            created=old is None or old.id != new.id or (known is not None and known.created),
            deleted=False,
            author_id=author_id,
            at=change.at,
        )
