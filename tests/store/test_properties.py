"""Whatever is committed, and by whichever statement, all stores know the same afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from unittest import mock
from urllib.parse import urlsplit
from uuid import UUID

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    Command,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.records import Retreat
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import Attempt, Delta, StoreError
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


@dataclass(frozen=True)
class TakeBack:
    """Undo one of the last changes, as far as it can be undone."""

    back: int


Step = Assign | Note | Unnote | TakeBack | BulkAssign | CreateGroups | DeleteGroup | SetGroupMemo

people = st.integers(1, PEOPLE)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Assign, people, st.none() | st.integers(1, 4)),
    st.builds(Note, people, st.sampled_from(["가", "나", "다"]), st.sampled_from(["", "#00FF00"])),
    st.builds(Unnote, people),
    st.builds(TakeBack, st.integers(0, 3)),
    st.builds(
        BulkAssign,
        st.lists(
            st.builds(
                Assignment,
                people,
                gbs_number=st.none() | st.integers(1, 4),
                is_leader=st.booleans(),
                current_leader=st.just(UNSET) | st.sampled_from(["가", "나"]),
                lineup_number=st.none() | st.integers(1, 3),
            ),
            max_size=PEOPLE,
            unique_by=lambda each: each.registration_id,
        ).map(tuple),
        st.booleans(),
        st.just("skip"),
    ),
    st.builds(CreateGroups, st.tuples(st.integers(1, 6))),
    st.builds(DeleteGroup, st.integers(1, 4)),
    st.builds(SetGroupMemo, st.integers(1, 4), st.sampled_from([None, "3층"])),
)


@dataclass(frozen=True)
class Batch:
    """What one commit tries."""

    steps: list[Step]
    fenced: bool
    """Starts with a fence."""
    behind: int
    """How many revisions too low it expects the retreat; negative: too high."""
    repeats: bool
    """Takes an id that was used before."""
    announces: bool
    """Announces all its ids."""
    rejected: bool
    """Announces an id that was used before, of a command that was rejected this time."""


rarely = st.sampled_from([False, False, False, True])
batches = st.lists(
    st.builds(
        Batch,
        st.lists(steps, min_size=1, max_size=1) | st.lists(steps, max_size=6),
        rarely,
        st.sampled_from([0, 0, 0, 1, -1]),
        rarely,
        st.booleans(),
        rarely,
    ),
    min_size=1,
    max_size=8,
)

TABLES = {
    "retreat": ["epoch", "created_at"],
    "gbs": ["id", "created_at"],
    "user_retreat_registration": ["gbs_id"],
    "user_retreat_registration_memo": [],
    "lineup_change": [],
    "lineup_change_registration": [],
}
"""What commits write, with the columns that may differ: ids of groups have gaps, and those of the
seed were created when it was imported."""


def action_of(step: Step, draft: Draft) -> Action | None:
    """Return the action that a step means now, if it means one."""
    if isinstance(step, TakeBack):
        return Undo(on_conflict="skip")
    if isinstance(step, BulkAssign | CreateGroups | DeleteGroup | SetGroupMemo):
        return step
    if isinstance(step, Assign):
        return AssignNumber(step.person, step.number)
    row = draft.row(step.person)
    assert row is not None
    if isinstance(step, Unnote):
        return None if row.lineup_memo_id is None else DeleteMemo(row.lineup_memo_id)
    if row.lineup_memo_id is None:
        return CreateMemo(step.person, step.text, step.color)
    return UpdateMemo(row.lineup_memo_id, step.text, step.color)


class All:
    """A retreat in every store, changed in step."""

    def __init__(self, stores: Sequence[AnyStore], retreat: Retreat) -> None:
        self.stores = stores
        self.board = Board(retreat)
        self.ids = command_ids()
        self.moments = (MOMENT + timedelta(milliseconds=number) for number in count(1))
        self.used: list[Change] = []
        self.attempts = count(1)
        self.loads: list[dict[AnyStore, Retreat]] = []
        """The retreat in each store, at each revision."""

    async def memo_ids(self) -> Iterator[int]:
        """Return the same fresh ids from every store."""
        ids = [list(await store.reserve_memo_ids(24)) for store in self.stores]
        assert ids == [ids[0]] * len(ids)
        return iter(ids[0])

    async def attempt(self, batch: Batch) -> None:
        """Commit a batch to every store; they have to answer the same."""
        draft = self.board.draft(await self.memo_ids())
        changes = [draft.fence(next(self.ids), next(self.moments))] if batch.fenced else []
        for step in batch.steps:
            if (action := action_of(step, draft)) is not None:
                undone = None
                if isinstance(step, TakeBack) and step.back < len(
                    earlier := [*self.used, *changes]
                ):
                    undone = LogEntry.of(earlier[-1 - step.back])
                command = Command(action, AUTHOR, next(self.ids))
                outcome = draft.decide(command, next(self.moments), undone)
                if isinstance(outcome, Change):
                    changes.append(outcome)
        if batch.repeats and changes and self.used:
            changes[-1] = replace(changes[-1], command_id=self.used[0].command_id)
        expected = self.board.revision - batch.behind
        numbered = [replace(each, revision=each.revision - batch.behind) for each in changes]
        repeatable = [each.command_id for each in changes] if batch.announces else []
        if batch.rejected and self.used:
            repeatable.append(self.used[-1].command_id)
        number = next(self.attempts)
        answers = [
            await self.answer(
                store,
                Attempt(
                    UUID(int=number),
                    retreat.id,
                    retreat.epoch,
                    expected,
                    tuple(numbered),
                    frozenset(repeatable),
                ),
            )
            for store, retreat in self.loads[-1].items()
        ]
        assert answers == [answers[0]] * len(answers)
        if answers[0] is None:
            self.used += changes
            for change in changes:
                self.board.apply(change)
            await self.load()

    async def answer(self, store: AnyStore, attempt: Attempt) -> object:
        """Return what a commit returned or raised, in a form that can be compared."""
        try:
            delta = await store.commit(attempt)
        except StoreError as error:
            return type(error), getattr(error, "entries", None)
        return None if delta is None else anonymous(delta)

    async def load(self) -> None:
        """Load the retreat from all stores."""
        loads = {store: await store.load(self.board.slug) for store in self.stores}
        self.loads.append({store: retreat for store, retreat in loads.items() if retreat})

    async def catch_up(self) -> None:
        """Check that each state that was loaded and its delta are the state that there is now."""
        for earlier in self.loads:
            for store, retreat in earlier.items():
                delta = await store.delta(retreat.id, retreat.epoch, retreat.revision)
                assert delta is not None
                assert installed(retreat, delta) == self.loads[-1][store]
                log = await store.log(retreat.id, after_revision=retreat.revision)
                assert [entry.command_id for entry in delta.entries] == [e.command_id for e in log]

    async def compare(self) -> None:
        """Check that the stores have the same, and that it is what the board has."""
        await self.load()
        retreats = [dataclasses.replace(each, epoch="") for each in self.loads[-1].values()]
        assert retreats == [retreats[0]] * len(self.stores)
        assert Board(retreats[0]).rows() == self.board.rows()
        logs = [await store.log(self.board.retreat_id) for store in self.stores]
        assert logs == [logs[0]] * len(logs)
        assert [entry.revision for entry in logs[0]] == [*range(1, self.board.revision + 1)]


def anonymous(delta: Delta) -> Delta:
    """Return a delta without the epoch, which each store has its own of."""
    return dataclasses.replace(delta, version=dataclasses.replace(delta.version, epoch=""))


def installed(retreat: Retreat, delta: Delta) -> Retreat:
    """Return a retreat with what a delta has beyond its revision."""
    assert delta.complete
    people = {each.id: each for each in (*retreat.registrations, *delta.registrations)}
    groups = {**retreat.groups, **{each.number: each for each in delta.groups}}
    return dataclasses.replace(
        retreat,
        revision=delta.version.revision,
        registrations=tuple(people[key] for key in sorted(people)),
        groups=groups,
    )


async def never_takes_effect(*_: object) -> bool:
    await trio.lowlevel.checkpoint()
    return False


async def tables(store: PostgresStore) -> list[list[str]]:
    """Return the rows of the tables that commits write."""
    return [
        sorted(
            row["row"]
            for row in await store._database.fetch(
                f"SELECT (to_jsonb(each) - $1::text[])::text AS row FROM {table} AS each", without
            )
        )
        for table, without in TABLES.items()
    ]


async def commit_to_all(dsn: str, other_dsn: str, tried: list[Batch]) -> None:
    memory = MemoryStore()
    async with (
        PostgresStore.open(dsn) as postgres,
        PostgresStore.open(other_dsn) as batchwise,
    ):
        for store in (memory, postgres, batchwise):
            await store.import_retreat(seed(people=PEOPLE))
        retreat = await memory.load("winter")
        assert retreat is not None
        every = All((memory, postgres, batchwise), retreat)
        await every.load()
        await every.compare()
        with mock.patch.object(batchwise._commits, "_take_effect", never_takes_effect):
            for batch in tried:
                await every.attempt(batch)
        await every.compare()
        await every.catch_up()
        assert await tables(postgres) == await tables(batchwise)


def test_any_sequence_of_commits_leaves_the_stores_equal_by_either_statement(
    postgres_cluster: PostgresCluster, database_url: str
) -> None:
    with postgres_cluster.fresh_database() as other_url:
        databases = [urlsplit(url).path.removeprefix("/") for url in (database_url, other_url)]

        @settings(max_examples=40, deadline=None)
        @given(batches)
        def check(tried: list[Batch]) -> None:
            for database in databases:
                postgres_cluster.run_sql(EMPTY, database)
            trio.run(commit_to_all, database_url, other_url, tried)

        check()
