"""Whatever is committed, both stores know the same afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from urllib.parse import urlsplit
from uuid import UUID

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    Command,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.records import Retreat
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import StoreError
from tests.store.fixtures import PostgresCluster
from tests.store.worlds import AUTHOR, MOMENT, AnyStore, command_ids, seed

PEOPLE = 5
EMPTY = "TRUNCATE univ_group, user_profile, retreat RESTART IDENTITY CASCADE"


@dataclass(frozen=True)
class Assign:
    """Put a person into a group, or into none."""

    person: int
    number: int | None


@dataclass(frozen=True)
class Note:
    """Give a person this memo, whether they have one or not."""

    person: int
    text: str
    color: str


@dataclass(frozen=True)
class Unnote:
    """Take a person's memo away."""

    person: int


Step = Assign | Note | Unnote

people = st.integers(1, PEOPLE)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Assign, people, st.none() | st.integers(1, 4)),
    st.builds(Note, people, st.sampled_from(["가", "나", "다"]), st.sampled_from(["", "#00FF00"])),
    st.builds(Unnote, people),
)


@dataclass(frozen=True)
class Batch:
    """What one commit tries."""

    steps: list[Step]
    fenced: bool
    """Starts with a fence."""
    behind: int
    """How many revisions too low it expects the retreat."""
    repeats: bool
    """Announces all its ids, and takes one that was used before."""


batches = st.lists(
    st.builds(
        Batch,
        st.lists(steps, max_size=6),
        st.booleans(),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=5,
)


def action_of(step: Step, draft: Draft) -> Action | None:
    """Return the action that a step means now, if it means one."""
    if isinstance(step, Assign):
        return AssignNumber(step.person, step.number)
    row = draft.row(step.person)
    assert row is not None
    if isinstance(step, Unnote):
        return None if row.lineup_memo_id is None else DeleteMemo(row.lineup_memo_id)
    if row.lineup_memo_id is None:
        return CreateMemo(step.person, step.text, step.color)
    return UpdateMemo(row.lineup_memo_id, step.text, step.color)


class Both:
    """A retreat in both stores, changed in step."""

    def __init__(self, memory: MemoryStore, postgres: PostgresStore, retreat: Retreat) -> None:
        self.stores: tuple[AnyStore, AnyStore] = (memory, postgres)
        self.board = Board(retreat)
        self.ids = command_ids()
        self.moments = (MOMENT + timedelta(milliseconds=number) for number in count(1))
        self.used: list[Change] = []

    async def memo_ids(self) -> Iterator[int]:
        """Return the same fresh ids from both stores."""
        memory, postgres = [await store.reserve_memo_ids(8) for store in self.stores]
        assert memory == postgres
        return iter(memory)

    async def attempt(self, batch: Batch) -> None:
        """Commit a batch to both stores; they have to answer the same."""
        draft = self.board.draft(await self.memo_ids())
        changes = [draft.fence(next(self.ids), next(self.moments))] if batch.fenced else []
        for step in batch.steps:
            if (action := action_of(step, draft)) is not None:
                outcome = draft.decide(Command(action, AUTHOR, next(self.ids)), next(self.moments))
                if isinstance(outcome, Change):
                    changes.append(outcome)
        if batch.repeats and changes and self.used:
            changes[-1] = replace(changes[-1], command_id=self.used[0].command_id)
        expected = self.board.revision - batch.behind
        numbered = [replace(each, revision=each.revision - batch.behind) for each in changes]
        repeatable = [each.command_id for each in changes] if batch.repeats else []
        answers = [
            await self.answer(store, expected, numbered, repeatable) for store in self.stores
        ]
        assert answers[0] == answers[1]
        if answers[0] is None:
            self.used += changes
            for change in changes:
                self.board.apply(change)

    async def answer(
        self, store: AnyStore, expected: int, changes: list[Change], repeatable: list[UUID]
    ) -> object:
        """Return what a commit raised, in a form that can be compared."""
        try:
            await store.commit(self.board.retreat_id, expected, changes, repeatable)
        except StoreError as error:
            return type(error), getattr(error, "entries", None)
        return None

    async def compare(self) -> None:
        """Check that both stores have the same, and that it is what the board has."""
        loads = [await store.load(self.board.slug) for store in self.stores]
        memory, postgres = loads
        assert memory is not None
        assert postgres is not None
        assert postgres == replace(memory, epoch=postgres.epoch)
        assert Board(memory).rows() == self.board.rows()
        logs = [await store.log(self.board.retreat_id) for store in self.stores]
        assert logs[0] == logs[1]
        assert [entry.revision for entry in logs[0]] == [*range(1, self.board.revision + 1)]


async def commit_to_both(dsn: str, tried: list[Batch]) -> None:
    memory = MemoryStore()
    async with PostgresStore.open(dsn) as postgres:
        for store in (memory, postgres):
            await store.import_retreat(seed(people=PEOPLE))
        retreat = await memory.load("winter")
        assert retreat is not None
        both = Both(memory, postgres, retreat)
        await both.compare()
        for batch in tried:
            await both.attempt(batch)
        await both.compare()


def test_any_sequence_of_commits_leaves_both_stores_equal(
    postgres_cluster: PostgresCluster, database_url: str
) -> None:
    database = urlsplit(database_url).path.removeprefix("/")

    @settings(max_examples=40, deadline=None)
    @given(batches)
    def check(tried: list[Batch]) -> None:
        postgres_cluster.run_sql(EMPTY, database)
        trio.run(commit_to_both, database_url, tried)

    check()
