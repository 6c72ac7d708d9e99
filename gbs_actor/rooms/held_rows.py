"""Commands on rows that the transactions of other programs hold."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Final

import trio

from gbs_actor.lineup.changes import Change
from gbs_actor.rooms.batch import Batch, Step
from gbs_actor.rooms.delivery import ROWS_HELD
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.loading import Loading
from gbs_actor.store.protocol import Store
from gbs_actor.store.rows import RowKey, written_rows

log = logging.getLogger(__name__)

_PATIENCE: Final = 1.0
"""Seconds for which commands wait for rows while nobody else waits for them."""
_PAUSE: Final = 0.05
"""Seconds between two looks at the rows."""
_LOGGED: Final = 5
"""Rows that a line of the log names."""


class HeldRows:
    """Remembers which rows may be held, so that a batch asks before it waits for them.

    :param handle: the room.
    :param store: knows which rows are held.
    :param loading: lets what needs no store go on while it is asked.
    """

    def __init__(self, handle: RoomHandle, store: Store, loading: Loading) -> None:
        self._handle = handle
        self._store = store
        self._loading = loading
        self._suspected: set[RowKey] = set()
        """They were held when this was found out last."""

    def suspect(self, batch: Batch) -> None:
        """Take all rows for held that a batch writes, until that is found out."""
        self._suspected.update(_written(batch.changes))

    async def reject(self, batch: Batch) -> bool:
        """Reject the commands of a decided batch that write rows that are held.

        They wait for a second, unless others have to wait for them. Without a suspicion, this does
        nothing, and is no checkpoint.

        :returns: whether some were rejected; what is left of the batch has to be decided anew.
        :raises StoreUnavailable: the store cannot be asked.
        """
        if not self._suspected or not (rows := self._suspected & _written(batch.changes)):
            return False
        until = trio.current_time() + _PATIENCE
        while held := await self._find_held(rows):
            busy = [step for step in batch.steps if _is_on(step, held)]
            others = len(batch.steps) - len(busy) + len(self._handle.mailbox)
            if others or trio.current_time() + _PAUSE > until:
                break
            await self._loading.while_serving(self._pause)
        else:
            return False
        room = self._handle.slug
        message = "room %s: another program holds rows that %d commands write: %s"
        some = ", ".join(f"{key.table} {key.id}" for key in sorted(held)[:_LOGGED])
        log.warning(message, room, len(busy), some, extra={"room": room})
        batch.steps = [step for step in batch.steps if not _is_on(step, held)]
        for step in busy:
            step.work.reply(ROWS_HELD)
        return True

    async def _find_held(self, rows: set[RowKey]) -> frozenset[RowKey]:
        """Ask which of some rows are held, and suspect only those of them."""
        version = self._handle.version
        assert version is not None
        ask = partial(self._store.held_rows, version.id, rows)
        held = await self._loading.while_serving(ask)
        self._suspected -= rows
        self._suspected |= held
        return held

    async def _pause(self) -> None:
        with trio.move_on_after(_PAUSE):
            await self._handle.mailbox.wait()


def _written(changes: Iterable[Change]) -> set[RowKey]:
    return {key for change in changes for key in written_rows(change)}


def _is_on(step: Step, rows: frozenset[RowKey]) -> bool:
    """Return whether a command is accepted, and writes any of some rows."""
    change = step.outcome
    return isinstance(change, Change) and not rows.isdisjoint(written_rows(change))
