"""The rows of a store that a change writes, by their keys."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from gbs_actor.lineup.changes import Change, written
from gbs_actor.lineup.records import Memo


class Table(StrEnum):
    """Where rows are that other programs may hold."""

    RETREAT = "retreat"
    """Of the retreat itself; each change writes its row."""
    REGISTRATION = "registration"
    GROUP = "group"
    MEMO = "memo"


class RowKey(NamedTuple):
    """A row of one retreat."""

    table: Table
    id: int
    """Of a group its number."""


RETREAT: Final = RowKey(Table.RETREAT, 0)
"""The row of whichever retreat it is about."""


def written_rows(change: Change) -> frozenset[RowKey]:
    """Return the rows that a change writes, as far as they may be there before it."""
    keys = [RETREAT]
    keys += [RowKey(Table.REGISTRATION, each.id) for each in change.registrations]
    keys += [RowKey(Table.GROUP, each.number) for each in change.groups]
    keys += [
        RowKey(Table.MEMO, former.value.id)
        for former, _ in written(change.before, change.after)
        if isinstance(former.value, Memo)
    ]
    return frozenset(keys)
