"""A batch of changes as the fewest row writes that have the same effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gbs_actor.lineup.changes import Change, MemoValue
from gbs_actor.lineup.records import Group, Registration


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
        groups.update((group.number, group) for group in change.groups)
        for registration in change.registrations:
            registrations[registration.id] = registration
            if change.registration_id == registration.id:
                _note_memo(memos, change, registration)
    return Writes(tuple(registrations.values()), tuple(groups.values()), tuple(memos.values()))


def _note_memo(memos: dict[int, MemoWrite], change: Change, registration: Registration) -> None:
    """Merge a change of its registration's memo into ``memos``."""
    if not isinstance(change.after, MemoValue):
        return
    before, after = change.before, change.after
    author_id = change.author.user_id if change.author is not None else None
    old_id = before.memo_id if isinstance(before, MemoValue) else None
    if old_id is not None and old_id != after.memo_id:
        known = memos.get(old_id)
        memos[old_id] = MemoWrite(
            id=old_id,
            registration_id=registration.id,
            text=known.text if known else before.text if isinstance(before, MemoValue) else "",
            color=known.color if known else before.color if isinstance(before, MemoValue) else "",
            created=known is not None and known.created,
            deleted=True,
            author_id=author_id,
            at=change.at,
        )
    if after.memo_id is not None:
        known = memos.get(after.memo_id)
        memos[after.memo_id] = MemoWrite(
            id=after.memo_id,
            registration_id=registration.id,
            text=after.text,
            color=after.color,
            created=old_id != after.memo_id or (known is not None and known.created),
            deleted=False,
            author_id=author_id,
            at=change.at,
        )
