"""A retreat's line-up as it was: at an earlier revision, or at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import msgspec
import trio

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.time_travel import as_of
from gbs_actor.rooms import RoomSupervisor, Snapshot
from gbs_actor.store.history import HistoryQuery
from gbs_actor.store.protocol import Store

_ENTRIES_AT_ONCE: Final = 100
"""Entries of the log that are read at once."""


async def read_past(
    rooms: RoomSupervisor, store: Store, slug: str, at: int | datetime
) -> Snapshot | Failure:
    """Return the rows of a retreat as of then; the work is in the size of the changes since.

    :param at: a revision, or a time, aware: that of the last change which is not later.
    :returns: a failure if there is no such retreat, or the history does not go back so far.
    :raises InvalidPayload: the retreat has not reached the revision.
    :raises StoreError: the log cannot be read.
    """
    board = await rooms.board(slug, known=at if isinstance(at, int) else 0)
    if isinstance(board, Rejection):
        return Failure.of(board)
    retreat = board.retreat()
    moment = at if isinstance(at, datetime) else None
    if isinstance(at, datetime):
        revision = min(await store.revision_at(retreat.id, at), retreat.revision)
    elif at > retreat.revision:
        raise InvalidPayload("at", f"at: the room is at revision {retreat.revision}.")
    else:
        revision = at
    later = [entry async for entry in _entries_after(store, retreat.id, revision)]
    # What another program has changed of all of it, the log does not have.
    whole = max((entry.revision for entry in later if entry.whole), default=0)
    oldest = max(whole, await store.pruned_revision(retreat.id))
    if revision < oldest:
        message = f"The history does not go back further than revision {oldest}."
        return Failure(Code.HISTORY_PRUNED, message, oldest_revision=oldest)
    past = Board(as_of(retreat, later, revision, moment))
    await trio.lowlevel.checkpoint()
    return Snapshot(revision, retreat.epoch, full=True, rows=msgspec.json.encode(past.rows()))


async def _entries_after(store: Store, retreat_id: int, revision: int) -> AsyncIterator[LogEntry]:
    """Yield the entries of the log with a higher revision, the newest first."""
    before: int | None = None
    while True:
        query = HistoryQuery(_ENTRIES_AT_ONCE, before=before, after=revision)
        entries = await store.history(retreat_id, query)
        for entry in entries:
            yield entry
        if len(entries) < _ENTRIES_AT_ONCE:
            return
        before = entries[-1].revision
