"""Values that the database's types cannot hold, detected without the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.records import Memo
from gbs_actor.store.writes import Writes

INT8 = range(-(2**63), 2**63)
"""The range of a ``bigint`` column."""
GBS_NUMBERS = range(1, 10_000)
"""The range of group numbers."""


def is_storable(text: str) -> bool:
    """Return whether a text column of a database can hold this text."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def fault_in(changes: Sequence[Change], writes: Writes) -> str | None:
    """Return why no database can store these values, or ``None`` if it can."""
    text = "".join(_texts(changes, writes))
    if "\0" in text:
        return "a text contains U+0000"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a text contains half of a surrogate pair"
    if not all(number is None or number in INT8 for number in _ids(changes, writes)):
        return "an id is outside of int8"
    for gbs_number in (
        *(registration.gbs_number for registration in writes.registrations),
        *(group.number for group in writes.groups),
    ):
        if gbs_number is not None and gbs_number not in GBS_NUMBERS:
            return "a group number is outside of 1 to 9999"
    return None


def _texts(changes: Sequence[Change], writes: Writes) -> Iterator[str]:
    for change in changes:
        if change.author is not None:
            yield change.author.name
        for each in (*change.before, *change.after):
            if isinstance(each.value, Memo):
                yield each.value.text
                yield each.value.color
            elif isinstance(each.value, str):
                yield each.value
    for group in writes.groups:
        yield group.memo


def _ids(changes: Sequence[Change], writes: Writes) -> Iterator[int | None]:
    for change in changes:
        yield change.registration_id
        if change.author is not None:
            yield change.author.user_id
    for registration in writes.registrations:
        yield registration.id
    for memo in writes.memos:
        yield memo.id
