"""Whatever clients, crashes and the store do: one log, one order, the same rows everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    Kind,
    SetGroupMemo,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.records import Retreat
from gbs_actor.rooms import Accepted, Done, RoomSettings, RoomSupervisor, Subscriber, Tracepoint
from gbs_actor.testing.store import Fault, SimStore
from tests.lineup.replaying import replay

from .crashes import Crashes
from .peers import BatchClient, Client
from .retreats import sim_store

PEOPLE = 8
CLIENTS = 3
BATCHED = (1, 2)
"""Those of the clients that are in the batch form."""


@dataclass(frozen=True)
class Give:
    """A client gives a command; with a number for its id, that may repeat another's."""

    client: int
    action: Action
    id_number: int | None = None
    behind: int | None = None
    """The base revision, as so many revisions before what the client saw last."""


@dataclass(frozen=True)
class Do:
    """A client does something else."""

    client: int
    what: str


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class WriteElsewhere:
    """Another server has the store for a moment, and moves a person."""

    registration_id: int
    number: int | None


@dataclass(frozen=True)
class Operate:
    """An operator acts on the room."""

    action: str


Step = Give | Do | Wait | WriteElsewhere | Operate

registration_ids = st.integers(1, PEOPLE + 1)
memo_ids = st.integers(1, 6)
texts = st.sampled_from(["", "메모", "다른 메모"])
colors = st.sampled_from(["#FECACA", "#BBF7D0"])
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, registration_ids, st.none() | st.integers(1, 4)),
    st.builds(CreateMemo, registration_ids, texts, colors),
    st.builds(UpdateMemo, memo_ids, texts, colors),
    st.builds(DeleteMemo, memo_ids),
    st.builds(
        BulkAssign,
        st.lists(
            st.builds(
                Assignment,
                registration_ids,
                gbs_number=st.none() | st.integers(1, 5),
                is_leader=st.sampled_from([UNSET, False, True]),
            ),
            min_size=1,
            max_size=PEOPLE,
            unique_by=lambda each: each.registration_id,
        ).map(tuple),
        on_conflict=st.sampled_from(["refuse", "skip"]),
    ),
    st.builds(CreateGroups, st.tuples(st.integers(4, 6))),
    st.builds(DeleteGroup, st.integers(1, 5)),
    st.builds(SetGroupMemo, st.integers(1, 5), st.none() | texts),
    st.builds(
        Undo,
        revision=st.integers(1, 20),
        on_conflict=st.sampled_from(["refuse", "skip"]),
        by_operator=st.just(True),
    ),
)
clients = st.integers(0, CLIENTS - 1)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Give,
        clients,
        actions,
        st.none() | st.integers(0, 5),
        st.none() | st.integers(-1, 3),
    ),
    st.builds(
        Do, clients, st.sampled_from(["leave", "join", "mark", "stop reading", "read", "hang up"])
    ),
    st.builds(Wait, st.sampled_from([0.0, 0.0, 0.02, 1.0, 7.0])),
    st.builds(WriteElsewhere, st.integers(1, PEOPLE), st.none() | st.integers(1, 4)),
    st.builds(Operate, st.sampled_from(["restart", "recover", "stop", "drain"])),
)
CONFIG = RoomSettings(memo_id_block=2)
configs = st.builds(
    RoomSettings,
    memo_id_block=st.just(CONFIG.memo_id_block),
    commit_retries=st.sampled_from([0, 2]),
    remembered_commands=st.sampled_from([0, 1, 4_096]),
)
commit_faults = st.lists(st.sampled_from(Fault), max_size=8)
read_faults = st.lists(
    st.sampled_from([Fault.NONE, Fault.NONE, Fault.SLOW, Fault.UNAVAILABLE]), max_size=8
)


@dataclass
class Result:
    """Everything there is to be checked afterwards."""

    clients: list[Client]
    before: Retreat
    after: Retreat
    log: list[LogEntry]
    crashes: Crashes
    crashed: int
    """Crashes that the supervisor counted."""


async def play(
    script: Sequence[Step],
    crash_at: frozenset[int],
    commits: Sequence[Fault],
    reads: Sequence[Fault],
    config: RoomSettings,
) -> Result:
    store = await sim_store(people=PEOPLE)
    inner = store.elsewhere()
    before = await inner.load("winter")
    assert before is not None
    crashes = Crashes(crash_at)
    async with trio.open_nursery() as nursery:
        store.fail(*commits)
        store.fail(*reads, of="read")
        supervisor = RoomSupervisor(store, config, observe=crashes)
        async with supervisor.running():
            peers = [
                (BatchClient if n in BATCHED else Client)(supervisor, user_id=n + 1)
                for n in range(CLIENTS)
            ]
            for peer in peers:
                peer.on_sent_away = partial(_lose, peer, nursery)
            await _join_all(peers)
            await _play_steps(script, peers, store, nursery)
            # Longer than any fault, backoff and the cool-down of a failed room take.
            await trio.sleep(200)
            store.heal()
            crashes.at = frozenset()
            await _join_all(peer for peer in peers if peer.subscriber.room is None)
            await trio.sleep(200)
            for peer in peers:
                peer.reading = True
                peer.read()
            await supervisor.drain()
            crashed = supervisor.statistics().crashes
        nursery.cancel_scope.cancel()
    after = await inner.load("winter")
    assert after is not None
    log = await inner.log(before.id, limit=10_000)
    return Result(peers, before, after, log, crashes, crashed)


async def _join_all(peers: Any) -> None:
    for peer in peers:
        for _ in range(50):
            await peer.join("winter")
            if peer.subscriber.room is not None:
                break
            await trio.sleep(10)


async def _play_steps(
    script: Sequence[Step], peers: list[Client], store: SimStore, nursery: trio.Nursery
) -> None:
    for step in script:
        match step:
            case Give(client, action, id_number, behind):
                peer = peers[client]
                base = None if behind is None else max(-1, peer.handed - behind)
                command_id = None if id_number is None else UUID(int=id_number)
                peer.give(peer.command(action, command_id=command_id, base=base))
            case Do(client, "join"):
                nursery.start_soon(_join_if_connected, peers[client])
            case Do(client, "leave"):
                peers[client].leave()
            case Do(client, "hang up"):
                _lose(peers[client], nursery)
            case Do(client, "mark"):
                peers[client].mark(1)
            case Do(client, what):
                peers[client].reading = what == "read"
            case WriteElsewhere(registration_id, number):
                nursery.start_soon(_write_elsewhere, store, AssignNumber(registration_id, number))
            case Operate(action):
                nursery.start_soon(_operate, peers[0].supervisor, action)
            case Wait(seconds):
                await trio.sleep(seconds)
                await trio.testing.wait_all_tasks_blocked()


async def _write_elsewhere(store: SimStore, action: Action) -> None:
    async with RoomSupervisor(store.elsewhere()).running() as elsewhere:
        writer = Client(elsewhere, 99)
        await writer.join("winter")
        await writer.ask(action)
    store.interrupt()


def _lose(peer: Client, nursery: trio.Nursery) -> None:
    peer.hang_up()
    nursery.start_soon(_come_back, peer, peer.subscriber)


async def _operate(supervisor: RoomSupervisor, action: str) -> None:
    spread = (0.7,) if action == "drain" else ()
    await getattr(supervisor.actions, action)("winter", *spread)


async def _come_back(peer: Client, subscriber: Subscriber) -> None:
    await trio.sleep(0.5)
    if peer.subscriber is not subscriber:
        return  # lost again meanwhile
    answer = await peer.come_back()
    if not isinstance(answer, Done) and peer.subscriber is subscriber:
        await peer.join("winter")


async def _join_if_connected(peer: Client) -> None:
    if not peer.away:
        await peer.join("winter")


def check(result: Result) -> None:
    assert result.crashed == result.crashes.raised, "a crash that nobody injected"
    revisions = [entry.revision for entry in result.log]
    assert revisions == list(range(1, len(revisions) + 1)), "a gap or a repeat in the log"
    ids = Counter(entry.command_id for entry in result.log)
    assert max(ids.values(), default=1) == 1, "a command is in the log twice"
    assert result.after.revision == len(revisions)

    board = replay(result.before, result.log)
    expected = {row.id: msgspec.json.decode(msgspec.json.encode(row)) for row in board.rows()}
    by_id = {entry.command_id: entry for entry in result.log}
    undone: set[UUID] = set()
    for client in result.clients:
        assert not client.aborted
        assert client.violations == []
        assert client.subscriber.room is None  # the drain has let it go
        if isinstance(client, BatchClient):
            _check_revisions(client, board)
        assert client.rows == expected, "a client ended on other rows than the log's replay"
        for pending in client.pending:
            assert len(pending.answers) == 1, "not answered exactly once"
            (answer,) = pending.answers
            if isinstance(answer, Accepted):
                entry = by_id[pending.command.id]
                assert entry.revision == answer.revision
                assert entry.kind is not Kind.FENCE
            elif answer.code is not Code.OUTCOME_UNKNOWN and not pending.command.client_made_id:
                undone.add(pending.command.id)
    assert not undone & by_id.keys(), "refused and done all the same"


def _check_revisions(client: Client, board: Board) -> None:
    """Check the revision of each row, and let it be the list's from now on.

    It is that of the row's own fields; the answer to a join has the list's.
    """
    for row in board.rows():
        registration = board.registration(row.id)
        assert registration is not None
        shown = client.rows[row.id]
        assert registration.revision <= shown["revision"] <= row.revision
        shown["revision"] = row.revision


def run(
    script: Sequence[Step],
    crash_at: frozenset[int] = frozenset(),
    commits: Sequence[Fault] = (),
    reads: Sequence[Fault] = (),
    config: RoomSettings = CONFIG,
) -> Result:
    return trio.run(
        play,
        script,
        crash_at,
        commits,
        reads,
        config,
        clock=trio.testing.MockClock(autojump_threshold=0),
        strict_exception_groups=True,
    )


@settings(max_examples=400, deadline=None)
@given(
    script=st.lists(steps, max_size=30),
    crash_at=st.frozensets(st.integers(0, 120), max_size=6),
    commits=commit_faults,
    reads=read_faults,
    config=configs,
)
def test_any_interleaving_ends_on_the_replay_of_the_log(
    script: list[Step],
    crash_at: frozenset[int],
    commits: list[Fault],
    reads: list[Fault],
    config: RoomSettings,
) -> None:
    check(run(script, crash_at, commits, reads, config))


BULK = BulkAssign(
    tuple(Assignment(id_, gbs_number=5, is_leader=id_ == 3) for id_ in (3, 4, 5)),
    on_conflict="skip",
)
RICH: tuple[Step, ...] = (
    Give(0, AssignNumber(7, 1), id_number=0),
    Give(1, AssignNumber(8, 1)),
    Give(2, AssignNumber(7, 2), behind=0),
    Give(0, CreateMemo(7, "메모", "#FECACA"), id_number=1),
    Do(1, "mark"),
    Give(1, CreateMemo(7, "다른 메모", "#FECACA")),
    Wait(0.02),
    Give(0, AssignNumber(7, 1), id_number=0),
    Give(2, UpdateMemo(1, "다른 메모", "")),
    Give(1, BULK, id_number=4),
    Give(2, Undo(revision=1, on_conflict="skip", by_operator=True), id_number=5),
    Give(1, BULK, id_number=4),
    Do(2, "leave"),
    Give(1, AssignNumber(2, 3)),
    Give(0, AssignNumber(1, 3)),
    Wait(1),
    Do(2, "join"),
    Give(1, DeleteMemo(1), id_number=2),
    Give(1, DeleteMemo(1), id_number=2),
    Give(0, DeleteGroup(3)),
    Give(2, Undo(revision=6, on_conflict="skip", by_operator=True), id_number=5),
    Wait(7),
    Do(1, "hang up"),
    Give(0, AssignNumber(8, None)),
    Wait(1),
    Give(1, AssignNumber(8, 2)),
    Wait(7),
    Operate("restart"),
    Give(2, AssignNumber(4, 1)),
    WriteElsewhere(6, 3),
    Wait(7),
    Give(0, AssignNumber(4, 2)),
    Operate("drain"),
    Give(0, AssignNumber(4, 3)),
    Wait(7),
    Give(1, AssignNumber(5, 3)),
    Operate("stop"),
    Operate("recover"),
)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
def test_a_crash_at_each_step_of_the_loop_under_each_fault_of_the_store(fault: Fault) -> None:
    commits = (Fault.NONE, fault, Fault.NONE, fault)
    forgetful = RoomSettings(memo_id_block=2, commit_retries=0, remembered_commands=0)
    for config in (CONFIG, forgetful):
        undisturbed = run(RICH, commits=commits, config=config)
        check(undisturbed)
        for step in range(undisturbed.crashes.count):
            check(run(RICH, frozenset({step}), commits, config=config))


def test_the_injected_crashes_reach_every_moment_of_the_loop() -> None:
    assert set(run(RICH, commits=[Fault.LATE]).crashes.tracepoints) == set(Tracepoint)


def test_a_client_that_comes_back_resumes_where_it_was() -> None:
    result = run(RICH)
    check(result)
    lost_drained_stopped = [type(answer) for answer in result.clients[1].came_back]
    assert lost_drained_stopped == [Done, Done, Done]
