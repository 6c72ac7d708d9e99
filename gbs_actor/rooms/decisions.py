"""What becomes of the commands of a batch: decided on a draft, repeats recognised."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import length_hint
from uuid import UUID

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Rejection, result_of
from gbs_actor.lineup.commands import Command, CreateMemo, Undo, request_bytes
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.records import Memo
from gbs_actor.rooms.batch import Batch, Outcome, Repeat, Step
from gbs_actor.rooms.delivery import (
    HISTORY_PRUNED,
    INTERNAL,
    NO_RESULT,
    NO_SUCH_ROW,
    OTHER_COMMAND,
)
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
        self._epoch: str | None = None

    async def prepare(self, batch: Batch, board: Board) -> None:
        """Get from the store what :meth:`decide` needs, each time that it is called.

        It waits for the store only where memo ids have run out, or something is to be undone.

        :raises StoreUnavailable: for the memo ids or what is to be undone.
        """
        await self._find_undone(batch, board)
        await self._reserve_memo_ids(batch)

    async def decide(self, batch: Batch, board: Board, at: datetime) -> None:
        """Decide every command of a batch on top of the outcomes of those before it.

        Other tasks run in between, as a command's work is in the size of its groups. It waits for
        nothing else: see :meth:`prepare`.

        :param board: must not change meanwhile.
        """
        if board.epoch != self._epoch:
            self._epoch = board.epoch
            self._memory.clear()  # what was accepted in another epoch may be lost
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
                former: _Remembered | LogEntry | None = accepted.get(command.id)
                former = former or self._memory.get(command.id) or batch.found.get(command.id)
                if former is not None:
                    _decided(step, _repeat(draft, command, former), draft)
                    continue
                repeatable.add(command.id)
            only_repeat = step.work.only_repeat
            outcome = NO_SUCH_ROW if only_repeat else _decide_one(draft, command, at, batch.undone)
            _decided(step, outcome, draft)
            rows = 0
            if isinstance(step.outcome, Change):
                changes.append(step.outcome)
                if command.client_made_id and step.outcome.registration_id is not None:
                    accepted[command.id] = _Remembered.of(step.outcome)
                rows = len(step.outcome.rows)
            if budget.take(_DECISION + rows):
                await budget.checkpoint()
        batch.expected_revision = board.revision
        batch.changes = tuple(changes)
        batch.repeatable = frozenset(repeatable)

    def remember(self, accepted: Iterable[Change | LogEntry]) -> None:
        """Keep what was accepted under a client's command id, if it addressed one person.

        What has changed many fields is found in the log: its reply needs all of its entry.
        """
        memory = self._memory
        for each in accepted:
            if each.registration_id is not None:
                memory[each.command_id] = _Remembered.of(each)
                memory.move_to_end(each.command_id)
        while len(memory) > self._config.remembered_commands:
            memory.popitem(last=False)

    async def _find_undone(self, batch: Batch, board: Board) -> None:
        """Look up what an undo is about; it is a batch of its own."""
        submission = next(iter(batch.submissions()), None)
        action = None if submission is None else submission.command.action
        if not isinstance(action, Undo):
            return
        key = action.revision if action.command_id is None else action.command_id
        if key is None or (isinstance(key, int) and not 0 < key <= board.revision):
            return
        batch.undone = await self._store.entry(board.retreat_id, key)
        if batch.undone is not None or not isinstance(key, int):
            return
        if key <= await self._store.pruned_revision(board.retreat_id):
            batch.undone = HISTORY_PRUNED

    async def _reserve_memo_ids(self, batch: Batch) -> None:
        needed = sum(isinstance(s.command.action, CreateMemo) for s in batch.submissions())
        if isinstance(batch.undone, LogEntry):
            needed += sum(isinstance(each.value, Memo) for each in batch.undone.before)
        if needed > length_hint(self._memo_ids):  # exact, of a sequence
            count = max(needed, self._config.memo_id_block)
            self._memo_ids = iter(await self._store.reserve_memo_ids(count))


def _decide_one(
    draft: Draft, command: Command, at: datetime, undone: LogEntry | Rejection | None
) -> Outcome:
    if isinstance(undone, Rejection):
        return undone
    try:
        return draft.decide(command, at, undone)
    except Exception:
        # One poisonous command must not stop the others; the draft is as it was before.
        log.exception(
            "a command could not be decided",
            extra={"command_id": str(command.id), "user_id": command.author.user_id},
        )
        return INTERNAL


def _decided(step: Step, outcome: Outcome, draft: Draft) -> None:
    step.outcome = outcome
    row = outcome.row
    step.own_revision = None if row is None else draft.own_revision(row.id)


def _repeat(draft: Draft, command: Command, former: _Remembered | LogEntry) -> Outcome:
    if former.request != request_bytes(command.action):
        return OTHER_COMMAND
    if former.registration_id is not None:
        row = draft.row(former.registration_id)
        return NO_SUCH_ROW if row is None else Repeat(former.revision, row, (row,), NO_RESULT)
    assert isinstance(former, LogEntry)
    result = result_of(former)
    rows = (draft.row(id_) for id_ in result.updated)
    return Repeat(former.revision, None, tuple(row for row in rows if row is not None), result)
