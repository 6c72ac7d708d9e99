"""What becomes of the commands of a batch: decided on a draft, repeats recognised."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.commands import Command, CreateMemo, request_bytes
from gbs_actor.lineup.draft import Draft
from gbs_actor.rooms.batch import Batch, Outcome, Repeat
from gbs_actor.rooms.delivery import INTERNAL, NO_SUCH_ROW, OTHER_COMMAND
from gbs_actor.rooms.mailbox import MarkUpdate
from gbs_actor.rooms.work_budget import WorkBudget
from gbs_actor.settings import RoomSettings
from gbs_actor.store.protocol import Store

log = logging.getLogger(__name__)

_DECISION = 8
"""Units of work of a decision, apart from the rows that it changes."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An accepted command id."""

    revision: int
    registration_id: int | None
    request: bytes

    @classmethod
    def of(cls, accepted: Change | LogEntry) -> _Remembered:
        return cls(accepted.revision, accepted.registration_id, accepted.request)


class Decisions:
    """Decides batches, with a supply of memo ids and a memory for command ids.

    The memory spares a look into the log. A commit looks up the ids that are not in it:
    see :attr:`~gbs_actor.rooms.batch.Batch.repeatable`.

    :param store: gives memo ids.
    :param config: the size of the supply and of the memory.
    """

    def __init__(self, store: Store, config: RoomSettings) -> None:
        self._store = store
        self._config = config
        self._memory: OrderedDict[UUID, _Remembered] = OrderedDict()
        self._memo_ids: Iterator[int] = iter(())
        self._memo_ids_left = 0

    async def decide(self, batch: Batch, board: Board, at: datetime) -> None:
        """Decide every command of a batch on top of the outcomes of those before it.

        Other tasks run in between, as a command's work is in the size of its groups. It
        waits for the store only where memo ids have run out.

        :param board: must not change meanwhile.
        :raises StoreUnavailable: for the memo ids; nothing was decided.
        """
        await self._reserve_memo_ids(batch)
        budget = WorkBudget(self._config.deliveries_per_yield)
        draft = board.draft(self._memo_ids)
        accepted: dict[UUID, _Remembered] = {}
        changes: list[Change] = []
        repeatable: set[UUID] = set()
        for step in batch.steps:
            if isinstance(step.work, MarkUpdate):
                continue
            command = step.work.command
            if command.client_made_id:
                former = accepted.get(command.id) or self._memory.get(command.id)
                if former is None and command.id in batch.found:
                    former = _Remembered.of(batch.found[command.id])
                if former is not None:
                    step.outcome = _repeat(draft, command, former)
                    continue
                repeatable.add(command.id)
            only_repeat = step.work.only_repeat
            step.outcome = NO_SUCH_ROW if only_repeat else _decide_one(draft, command, at)
            rows = 0
            if isinstance(step.outcome, Change):
                changes.append(step.outcome)
                if command.client_made_id:
                    accepted[command.id] = _Remembered.of(step.outcome)
                rows = len(step.outcome.rows)
            if budget.take(_DECISION + rows):
                await budget.checkpoint()
        batch.expected_revision = board.revision
        batch.changes = tuple(changes)
        batch.repeatable = frozenset(repeatable)

    def remember(self, accepted: Iterable[Change | LogEntry]) -> None:
        """Keep what was accepted under a client's command id."""
        memory = self._memory
        for each in accepted:
            memory[each.command_id] = _Remembered.of(each)
            memory.move_to_end(each.command_id)
        while len(memory) > self._config.remembered_commands:
            memory.popitem(last=False)

    async def _reserve_memo_ids(self, batch: Batch) -> None:
        needed = sum(isinstance(s.command.action, CreateMemo) for s in batch.submissions())
        if needed > self._memo_ids_left:
            count = max(needed, self._config.memo_id_block)
            self._memo_ids = iter(await self._store.reserve_memo_ids(count))
            self._memo_ids_left = count
        self._memo_ids_left -= needed


def _decide_one(draft: Draft, command: Command, at: datetime) -> Outcome:
    try:
        return draft.decide(command, at)
    except Exception:
        # One poisonous command must not stop the others; the draft is as it was before.
        log.exception(
            "a command could not be decided",
            extra={"command_id": str(command.id), "user_id": command.author.user_id},
        )
        return INTERNAL


def _repeat(draft: Draft, command: Command, former: _Remembered) -> Outcome:
    if former.request != request_bytes(command.action) or former.registration_id is None:
        return OTHER_COMMAND
    row = draft.row(former.registration_id)
    return NO_SUCH_ROW if row is None else Repeat(former.revision, former.registration_id, row)
