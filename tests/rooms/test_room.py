"""One room under a mock clock: what its subscribers, and its operators, see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import trio
from trio.testing import MockClock

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.rooms import Accepted, Done, Moment, RoomConfig, RoomState, RoomSupervisor
from gbs_actor.store.protocol import CommitRefused

from .faulty_store import Fault, FaultyStore
from .peers import Client, Pending, TestFormat
from .retreats import memory_store

ID = UUID(int=7)


class World:
    """A supervisor over a store that can fail."""

    def __init__(self, supervisor: RoomSupervisor, store: FaultyStore, bugs: Bugs) -> None:
        self.supervisor = supervisor
        self.store = store
        self.bugs = bugs

    async def client(self, user_id: int = 1, slug: str = "winter") -> Client:
        client = Client(self.supervisor, user_id)
        await client.join(slug)
        return client

    def state(self, slug: str = "winter") -> RoomState | None:
        statistics = self.supervisor.room_statistics(slug)
        return None if statistics is None else statistics.state


class Bugs:
    """Crashes a room at the given moments, one a time."""

    def __init__(self) -> None:
        self.at: list[Moment] = []
        self.slug = "winter"

    def __call__(self, slug: str, moment: Moment) -> None:
        if slug == self.slug and self.at and moment is self.at[0]:
            del self.at[0]
            raise ZeroDivisionError("a bug")


@asynccontextmanager
async def world(
    *slugs: str, config: RoomConfig | None = None, people: int = 8
) -> AsyncIterator[World]:
    inner = await memory_store(*slugs, people=people)
    bugs = Bugs()
    async with trio.open_nursery() as nursery:
        store = FaultyStore(inner, nursery)
        supervisor = RoomSupervisor(store, config, observe=bugs)
        async with supervisor.running():
            yield World(supervisor, store, bugs)
        nursery.cancel_scope.cancel()


def code(answer: object) -> Code | None:
    return answer.code if isinstance(answer, Rejection) else None


def give_all(client: Client, *numbers: int) -> list[Pending]:
    return [client.give(client.command(AssignNumber(7, number))) for number in numbers]


async def test_everybody_in_the_room_gets_the_rows_and_the_author_the_answer(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        answer = await author.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert author.rows == other.rows
        assert other.rows[7]["gbsNumber"] == 1
        assert [row.id for row in other.updates] == [1, 2, 7] or len(other.updates) == 3


async def test_commands_that_wait_share_one_commit(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.append(Fault.SLOW)
        give_all(client, 1, 2, 3, 4)
        await client.subscriber.settled()
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert (room.batches, room.batch_largest) == (1, 4)


async def test_rows_of_a_batch_are_encoded_once_for_all_who_share_a_format(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        form = TestFormat()
        viewers = [Client(w.supervisor, n, form) for n in range(2, 12)]
        for viewer in viewers:
            await viewer.join("winter")
        author = await w.client(1)
        give_all(author, 1, 2, 3)
        await author.subscriber.settled()
        assert form.encodings == len(viewers[0].updates)
        assert all(viewer.rows == author.rows for viewer in viewers)


async def test_each_answer_comes_behind_the_rows_of_its_revision_and_before_newer_ones(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author = await w.client()
        give_all(author, 1, 2, 3)
        await author.subscriber.settled()
        revisions = [
            (type(message).__name__, message.revision)
            for _, message in author.transcript
            if hasattr(message, "revision")
        ]
        answers = [r for kind, r in revisions if kind == "Accepted"]
        assert answers == [1, 2, 3]
        assert [r for _, r in revisions] == sorted(r for _, r in revisions)


async def test_a_full_mailbox_answers_room_busy_at_once(autojump_clock: MockClock) -> None:
    async with world(config=RoomConfig(mailbox_size=2)) as w:
        client = await w.client()
        pendings = give_all(client, 1, 2, 3)
        assert [code(a) for a in pendings[2].answers] == [Code.ROOM_BUSY]
        await client.subscriber.settled()
        assert all(isinstance(p.answers[0], Accepted) for p in pendings[:2])


async def test_a_command_outside_a_room_is_not_in_room(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = Client(w.supervisor)
        assert code(await client.ask(AssignNumber(7, 1))) is Code.NOT_IN_ROOM


async def test_an_unknown_retreat_is_refused_and_leaves_the_former_room_as_it_was(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.join("nowhere")
        assert [code(r) for r in client.refused_joins] == [Code.RETREAT_NOT_FOUND]
        assert client.subscriber.room_slug == "winter"
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        assert w.state("nowhere") is None


async def test_joining_a_second_retreat_leaves_the_first(autojump_clock: MockClock) -> None:
    async with world("winter", "summer") as w:
        client, other = await w.client(1), await w.client(2)
        await client.join("summer")
        await other.ask(AssignNumber(7, 1))
        assert client.updates == []
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert [s.user_id for s in room.subscribers] == [2]


async def test_a_join_waits_for_the_answers_owed_by_the_former_room(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client = await w.client()
        w.store.commits.append(Fault.SLOW)
        pending = client.give(client.command(AssignNumber(7, 1)))
        await client.join("summer")
        kinds = [type(message).__name__ for _, message in client.transcript]
        assert isinstance(pending.answers[0], Accepted)
        assert kinds.index("Accepted") < len(kinds) - 1 - kinds[::-1].index("Snapshot")


async def test_joining_again_answers_again_and_changes_nothing_else(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.join("winter")
        assert sum(type(m).__name__ == "Snapshot" for _, m in client.transcript) == 2
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert len(room.subscribers) == 1


async def test_since_is_inclusive_and_another_epoch_gets_everything(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        first = client.snapshot
        assert first is not None
        await client.ask(AssignNumber(7, 4))
        await client.ask(AssignNumber(8, 5))
        late = Client(w.supervisor, 2)
        await late.join("winter", since=2, epoch=first.epoch)
        assert late.snapshot is not None
        assert (late.snapshot.full, set(late.rows)) == (False, {8})
        await late.join("winter", since=2, epoch="another")
        assert (late.snapshot.full, len(late.rows)) == (True, 8)


async def test_many_joiners_of_a_cold_room_load_it_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.store.reads.append(Fault.SLOW)
        clients = [Client(w.supervisor, n) for n in range(1, 6)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(client.join, "winter")
        assert all(len(client.rows) == 8 for client in clients)
        assert trio.current_time() < 1.1
        assert w.supervisor.statistics().started == 1


async def test_the_room_loads_on_although_the_first_joiner_goes(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.store.reads.append(Fault.SLOW)
        first, second = Client(w.supervisor, 1), Client(w.supervisor, 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.join, "winter")
            with trio.move_on_after(0.5):
                await first.join("winter")
        assert (len(first.rows), len(second.rows)) == (0, 8)


async def test_a_room_without_subscribers_stops_after_its_idle_time_and_starts_anew(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(idle_timeout=10)) as w:
        client = await w.client()
        await trio.sleep(100)
        assert w.state() is RoomState.RUNNING
        w.supervisor.leave(client.subscriber)
        await trio.sleep(9)
        assert w.state() is RoomState.RUNNING
        await trio.sleep(2)
        assert w.state() is None
        assert len((await w.client(2)).rows) == 8


async def test_a_write_from_outside_starts_the_room(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = Client(w.supervisor)
        answers: list[Accepted | Rejection] = []
        w.supervisor.submit_to("winter", client.command(AssignNumber(7, 1)), answers.append)
        await trio.sleep(1)
        assert isinstance(answers[0], Accepted)
        assert {row.id for row in answers[0].rows} == {1, 2, 7}


async def test_the_same_id_twice_is_one_change_with_the_same_answer(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        first = await client.ask(AssignNumber(7, 1), command_id=ID)
        second = await client.ask(AssignNumber(7, 1), command_id=ID)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert (second.revision, second.row, second.repeated) == (first.revision, first.row, True)
        assert len(await w.store.log(1)) == 1


async def test_a_repeat_is_recognised_after_the_room_has_been_started_anew(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        first = await client.ask(CreateMemo(7, "메모", ""), command_id=ID)
        w.bugs.at = [Moment.TAKEN]
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(1)
        second = await client.ask(CreateMemo(7, "메모", ""), command_id=ID)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert (second.revision, second.repeated) == (first.revision, True)


async def test_an_id_used_for_another_command_fails_validation(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(AssignNumber(7, 1), command_id=ID)
        assert code(await client.ask(AssignNumber(7, 2), command_id=ID)) is Code.VALIDATION_FAILED


async def test_a_rejected_command_is_decided_anew(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(CreateMemo(7, "메모", ""))
        refused = await client.ask(CreateMemo(7, "다른", ""), command_id=ID)
        assert code(refused) is Code.CONFLICT
        await client.ask(AssignNumber(7, 3))
        again = await client.ask(CreateMemo(7, "메모", ""), command_id=ID)
        assert isinstance(again, Accepted)


async def test_a_poisonous_command_takes_no_other_of_its_batch_with_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        good = client.give(client.command(AssignNumber(7, 1)))
        bad = client.give(client.command(object()))  # type: ignore[arg-type]  # a bug elsewhere
        await client.subscriber.settled()
        assert isinstance(good.answers[0], Accepted)
        assert code(bad.answers[0]) is Code.INTERNAL
        assert w.state() is RoomState.RUNNING


class _PickyStore(FaultyStore):
    """Refuses whatever has a memo with a question mark."""

    async def commit(self, retreat_id, expected_revision, changes, repeatable=()):  # type: ignore[no-untyped-def]
        if any(b"?" in change.request for change in changes):
            await trio.lowlevel.checkpoint()
            raise CommitRefused("invalid value", data_error=True)
        await super().commit(retreat_id, expected_revision, changes, repeatable)


async def test_a_data_error_of_a_batch_is_the_culprits_alone(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        store = _PickyStore(await memory_store(), nursery)
        supervisor = RoomSupervisor(store)
        async with supervisor.running():
            client = Client(supervisor)
            await client.join("winter")
            before = client.give(client.command(AssignNumber(7, 1)))
            culprit = client.give(client.command(CreateMemo(7, "?", "")))
            after = client.give(client.command(CreateMemo(8, "!", "")))
            await client.subscriber.settled()
        nursery.cancel_scope.cancel()
    assert isinstance(before.answers[0], Accepted)
    assert code(culprit.answers[0]) is Code.INTERNAL
    assert isinstance(after.answers[0], Accepted)


async def test_a_foreign_writer_is_noticed_and_the_command_decided_again(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        async with RoomSupervisor(w.store).running() as elsewhere:
            foreign = Client(elsewhere, 3)
            await foreign.join("winter")
            await foreign.ask(CreateMemo(8, "다른 곳에서", ""))
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert answer.revision == 2
        assert other.rows == client.rows
        assert other.rows[8]["lineupMemo"] == "다른 곳에서"
        assert w.supervisor.statistics().crashes == 0


# -- crashes


async def test_a_crash_takes_no_other_room_and_nobody_has_to_rejoin(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client, elsewhere = await w.client(1), await w.client(2, "summer")
        w.bugs.at = [Moment.TAKEN]
        refused = await client.ask(AssignNumber(7, 1))
        assert code(refused) is Code.ROOM_RESTARTED
        assert isinstance(await elsewhere.ask(AssignNumber(15, 1)), Accepted)
        await trio.sleep(1)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.restarts == 1
        assert room.last_error == "ZeroDivisionError: a bug"


async def test_what_was_committed_before_a_crash_is_answered_and_seen_after_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        w.bugs.at = [Moment.COMMITTED]
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert other.rows == client.rows
        assert other.rows[7]["gbsNumber"] == 1


async def test_commands_during_the_backoff_are_told_of_the_restart_and_joins_wait(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(crash_backoff=2)) as w:
        client = await w.client()
        w.bugs.at = [Moment.TAKEN]
        await client.ask(AssignNumber(7, 1))
        assert w.state() is RoomState.BACKOFF
        assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_RESTARTED
        late = await w.client(2)
        assert len(late.rows) == 8
        assert trio.current_time() >= 2


async def test_a_room_that_crashes_too_often_fails_until_the_cool_down_has_passed(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(max_crashes=2, cool_down=30)) as w:
        client = await w.client()
        w.bugs.at = [Moment.TAKEN, Moment.LOADING, Moment.LOADING]
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(5)
        assert w.state() is RoomState.FAILED
        assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_UNAVAILABLE
        late = await w.client(2)
        assert [code(r) for r in late.refused_joins] == [Code.ROOM_UNAVAILABLE]
        await trio.sleep(30)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)


async def test_an_operator_can_restart_a_failed_room_at_once(autojump_clock: MockClock) -> None:
    async with world(config=RoomConfig(max_crashes=0, cool_down=1000)) as w:
        client = await w.client()
        w.bugs.at = [Moment.TAKEN]
        await client.ask(AssignNumber(7, 1))
        assert w.state() is RoomState.FAILED
        assert w.supervisor.restart("winter")
        await trio.sleep(1)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        assert not w.supervisor.restart("winter")


async def test_a_sink_that_raises_loses_its_connection_and_nothing_else(
    autojump_clock: MockClock,
) -> None:
    class Broken(Client):
        def deliver(self, message: object) -> None:
            raise RuntimeError("broken")

    async with world() as w:
        broken = Broken(w.supervisor, 9)
        await broken.join("winter")
        client = await w.client(1)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        assert broken.aborted
        assert w.supervisor.statistics().crashes == 0


# -- a store that fails


async def test_an_unreachable_store_refuses_commands_while_reads_and_joins_go_on(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.append(Fault.UNAVAILABLE)
        w.store.reads.extend([Fault.UNAVAILABLE] * 8)
        assert code(await client.ask(AssignNumber(7, 1))) is Code.STORE_UNAVAILABLE
        assert code(await client.ask(AssignNumber(7, 1))) is Code.STORE_UNAVAILABLE
        late = await w.client(2)
        assert len(late.rows) == 8
        assert not isinstance(await w.supervisor.read("winter"), Rejection)
        await trio.sleep(60)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)


async def test_a_lost_answer_is_found_in_the_log(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.append(Fault.LOST_AFTER)
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert (answer.revision, len(await w.store.log(1))) == (1, 1)


async def test_a_lost_commit_is_fenced_off_and_made_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.append(Fault.LATE)
        answer = await client.ask(AssignNumber(7, 1))
        await trio.sleep(10)
        assert isinstance(answer, Accepted)
        assert [entry.kind.value for entry in await w.store.log(1)] == ["fence", "assign-number"]


async def test_an_outcome_that_stays_unknown_is_said_to_be(autojump_clock: MockClock) -> None:
    config = RoomConfig(commit_timeout=5, commit_resolve_timeout=10)
    async with world(config=config) as w:
        client = await w.client()
        w.store.commits.append(Fault.LOST_AFTER)
        w.store.commits.extend([Fault.UNAVAILABLE] * 20)
        started = trio.current_time()
        answer = await client.ask(AssignNumber(7, 1), command_id=ID)
        assert code(answer) is Code.OUTCOME_UNKNOWN
        assert trio.current_time() - started == 10
        late = await w.client(2)
        assert len(late.rows) == 8
        await trio.sleep(60)
        again = await client.ask(AssignNumber(7, 1), command_id=ID)
        assert isinstance(again, Accepted)
        assert again.repeated
        assert late.rows == client.rows


async def test_a_commit_without_an_answer_is_given_up_after_its_time_out(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(commit_timeout=3)) as w:
        client = await w.client()
        w.store.commits.append(Fault.HANGS_COMMITTED)
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert trio.current_time() < 5


async def test_a_cold_room_without_a_store_refuses_the_join(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.store.reads.append(Fault.UNAVAILABLE)
        client = await w.client()
        assert [code(r) for r in client.refused_joins] == [Code.STORE_UNAVAILABLE]
        await client.join("winter")
        assert len(client.rows) == 8


async def test_a_forgotten_repeat_does_not_pass_for_the_batch_it_is_in(
    autojump_clock: MockClock,
) -> None:
    """OK for a command beside it would be OK for something that was never saved."""
    async with world(config=RoomConfig(remembered_commands=0)) as w:
        client, viewer = await w.client(1), await w.client(2)
        first = await client.ask(AssignNumber(7, 1), command_id=ID)
        await client.ask(AssignNumber(7, 2))
        w.store.commits.append(Fault.LOST_BEFORE)
        repeat = client.give(client.command(AssignNumber(7, 1), command_id=ID))
        other = client.give(client.command(AssignNumber(8, 1)))
        await client.subscriber.settled()
        retreat = await w.store.load("winter")
        assert retreat is not None
        numbers = {each.id: each.gbs_number for each in retreat.registrations}
        assert isinstance(first, Accepted)
        assert isinstance(repeat.answers[0], Accepted)
        assert isinstance(other.answers[0], Accepted)
        assert repeat.answers[0].revision == first.revision
        assert (numbers[7], numbers[8]) == (2, 1)
        assert {n: viewer.rows[n]["gbsNumber"] for n in (7, 8)} == {7: 2, 8: 1}


async def test_a_repeat_in_a_refused_batch_gets_the_row_without_the_batch(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        await client.ask(AssignNumber(7, 1), command_id=ID)
        w.store.commits.append(Fault.UNAVAILABLE)
        refused = other.give(other.command(AssignNumber(7, 3)))
        client.give(client.command(AssignNumber(7, 1), command_id=ID))
        await client.subscriber.settled()
        assert code(refused.answers[0]) is Code.STORE_UNAVAILABLE
        assert client.rows[7]["gbsNumber"] == 1


async def test_a_command_behind_a_leave_is_not_in_room(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.supervisor.leave(client.subscriber)
        pending = client.give(client.command(AssignNumber(7, 1)))
        await client.subscriber.settled()
        assert code(pending.answers[0]) is Code.NOT_IN_ROOM
        assert await w.store.log(1) == []


async def test_a_retry_in_an_outage_is_told_the_same_and_holds_nothing_up(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.extend([Fault.LOST_BEFORE, *[Fault.UNAVAILABLE] * 1_000])
        w.store.reads.extend([Fault.UNAVAILABLE] * 1_000)
        assert code(await client.ask(AssignNumber(7, 1), command_id=ID)) is Code.OUTCOME_UNKNOWN
        with trio.fail_after(1):
            again = await client.ask(AssignNumber(7, 1), command_id=ID)
        assert code(again) is Code.OUTCOME_UNKNOWN
        w.supervisor.disconnect(client.subscriber)
        await trio.sleep(1)
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.subscribers == ()


async def test_a_repeat_that_waits_for_an_unknown_outcome_waits_as_long_as_the_first(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(commit_resolve_timeout=10)) as w:
        client, other = await w.client(1), await w.client(2)
        w.store.commits.extend([Fault.LOST_BEFORE, *[Fault.UNAVAILABLE] * 1_000])
        client.give(client.command(AssignNumber(7, 1), command_id=ID))
        await trio.sleep(5)
        repeat = other.give(other.command(AssignNumber(7, 1), command_id=ID))
        await trio.sleep(1)
        assert repeat.answers == []
        await trio.sleep(5)
        assert [code(answer) for answer in repeat.answers] == [Code.OUTCOME_UNKNOWN]


async def test_a_leave_waits_for_the_unknown_outcome_of_an_earlier_command(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.append(Fault.LOST_AFTER)
        w.store.reads.append(Fault.SLOW)
        order: list[str] = []
        command = client.command(AssignNumber(7, 1))
        w.supervisor.submit(client.subscriber, command, lambda _: order.append("edit"))
        await trio.sleep(0.05)
        w.supervisor.mark_editing(client.subscriber, 7, None, True, lambda _: order.append("mark"))
        w.supervisor.leave(client.subscriber, lambda _: order.append("leave"))
        await trio.sleep(10)
        assert order == ["edit", "mark", "leave"]
        assert client.rows[7]["gbsNumber"] == 1


async def test_the_patience_of_a_command_does_not_start_anew_with_each_commit(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(commit_resolve_timeout=10)) as w:
        client = await w.client()
        w.store.commits.extend([Fault.HANGS, Fault.NONE] * 3)
        started = trio.current_time()
        await client.ask(AssignNumber(7, 1))
        assert trio.current_time() - started <= 10


async def test_a_read_after_a_crash_in_a_commit_is_refused_while_the_store_is_down(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.extend([Fault.NONE, *[Fault.UNAVAILABLE] * 1_000])
        w.store.reads.extend([Fault.UNAVAILABLE] * 1_000)
        w.bugs.at = [Moment.ANSWERED]
        client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(5)
        with trio.fail_after(10):
            answer = await w.supervisor.read("winter")
        assert code(answer) is Code.STORE_UNAVAILABLE


# -- presence and editing marks


async def test_an_editing_mark_is_shown_to_the_others_and_ends_by_itself(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(9)
        assert [(e.lineup_id, e.user_id, e.editing) for e in other.editings] == [(7, 1, True)]
        await trio.sleep(2)
        assert [e.editing for e in other.editings] == [True, False]
        assert author.editings == []


async def test_a_renewed_mark_lasts_on_and_a_new_one_replaces_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(8)
        author.mark(7)
        await trio.sleep(8)
        assert all(e.editing for e in other.editings)
        author.mark(8)
        await trio.sleep(1)
        assert [(e.lineup_id, e.editing) for e in other.editings[-2:]] == [(7, False), (8, True)]
        assert [p.lineup_id for p in other.presences[-1].users[0].editing] == [8]


async def test_a_mark_ends_when_its_connection_does(autojump_clock: MockClock) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(1)
        w.supervisor.disconnect(author.subscriber)
        await trio.sleep(1)
        assert [e.editing for e in other.editings] == [True, False]
        assert other.presences[-1].total == 1


async def test_a_mark_ends_when_its_connection_does_while_the_room_is_down(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(crash_backoff=2)) as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(0.1)
        w.bugs.at = [Moment.TAKEN]
        await other.ask(AssignNumber(8, 1))
        w.supervisor.disconnect(author.subscriber)
        await trio.sleep(3)
        assert [e.editing for e in other.editings] == [True, False]


async def test_a_mark_given_before_a_join_elsewhere_is_carried_out(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client, other = await w.client(1), await w.client(2)
        w.store.commits.append(Fault.SLOW)
        other.give(other.command(AssignNumber(7, 1)))
        await trio.sleep(0.1)
        answers = client.mark(7)
        await client.join("summer")
        assert [type(answer) for answer in answers] == [Done]


async def test_joining_again_tells_nobody(autojump_clock: MockClock) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        await trio.sleep(5)
        before = len(other.presences)
        await client.join("winter")
        await trio.sleep(5)
        assert len(other.presences) == before


async def test_a_mark_on_nobody_is_not_found(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        answers = client.mark(999)
        await trio.sleep(1)
        assert [code(a) for a in answers] == [Code.NOT_FOUND]


async def test_presence_counts_the_connections_of_a_user(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client(1)
        await w.client(1)
        last = await w.client(2)
        await trio.sleep(1)
        presence = last.presences[-1]
        assert [(u.user_id, u.connections) for u in presence.users] == [(1, 2), (2, 1)]
        assert presence.total == 2


async def test_presence_is_sent_at_most_twice_a_second(autojump_clock: MockClock) -> None:
    async with world() as w:
        watcher = await w.client(1)
        for n in range(40):
            await w.client(n + 2)
            await trio.sleep(0.05)
        await trio.sleep(1)
        times = [at for at, m in watcher.transcript if type(m).__name__ == "Presence"]
        assert all(later - earlier >= 0.49 for earlier, later in pairwise(times))
        assert watcher.presences[-1].total == 41


async def test_presence_of_a_large_room_is_sent_every_two_seconds_and_names_a_hundred(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        watcher = await w.client(1)
        for n in range(120):
            await w.client(n + 2)
        watcher.transcript.clear()
        for n in range(10):
            await w.client(n + 200)
            await trio.sleep(0.5)
        times = [at for at, m in watcher.transcript if type(m).__name__ == "Presence"]
        assert all(later - earlier >= 2 for earlier, later in pairwise(times))
        await trio.sleep(3)
        assert (len(watcher.presences[-1].users), watcher.presences[-1].total) == (100, 131)


# -- slow readers


async def test_others_receive_at_the_same_time_with_and_without_a_stuck_reader(
    autojump_clock: MockClock,
) -> None:
    async def times(stuck: bool) -> list[float]:
        async with world() as w:
            reader, author = await w.client(1), await w.client(2)
            slow = await w.client(3)
            slow.reading = not stuck
            start = trio.current_time()
            for number in range(1, 50):
                await author.ask(AssignNumber(7, number))
                await trio.sleep(0.01)
            if stuck:
                assert slow.conflated > 0
                assert slow.statistics().queued <= 8 + 2
                slow.read()
            assert slow.rows == reader.rows
            return [round(at - start, 6) for at, _ in reader.transcript]

    assert await times(stuck=True) == await times(stuck=False)


# -- the end


async def test_draining_answers_what_was_submitted_and_refuses_what_comes(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.append(Fault.SLOW)
        pending = client.give(client.command(AssignNumber(7, 1)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(w.supervisor.drain)
            await trio.sleep(0.5)
            refused = client.give(client.command(AssignNumber(7, 2)))
        assert isinstance(pending.answers[0], Accepted)
        assert code(refused.answers[0]) is Code.ROOM_UNAVAILABLE
        assert w.supervisor.statistics().rooms == ()


async def test_a_room_that_has_drained_already_says_that_the_server_shuts_down(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client, busy = await w.client(1), await w.client(2, "summer")
        w.store.commits.append(Fault.SLOW)
        busy.give(busy.command(AssignNumber(15, 1)))
        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(w.supervisor.drain)
            await trio.sleep(0.1)
            refused = client.give(client.command(AssignNumber(7, 1)))
        assert code(refused.answers[0]) is Code.ROOM_UNAVAILABLE


async def test_giving_up_answers_what_a_drain_still_waits_for(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.extend([Fault.UNAVAILABLE] * 1_000)
        w.store.commits.appendleft(Fault.LOST_BEFORE)
        pending = client.give(client.command(AssignNumber(7, 1)))
        with trio.move_on_after(1):
            await w.supervisor.drain()
        assert pending.answers == []
        w.supervisor.give_up()
        assert [code(answer) for answer in pending.answers] == [Code.OUTCOME_UNKNOWN]


async def test_cancelling_the_rooms_answers_everything_that_waits(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.commits.extend([Fault.HANGS] * 3)
        pendings = give_all(client, 1)
        await trio.sleep(0.1)
        pendings += give_all(client, 2)
    assert [code(p.answers[0]) for p in pendings] == [Code.OUTCOME_UNKNOWN, Code.ROOM_UNAVAILABLE]


async def test_statistics_tell_how_far_a_subscriber_lags(autojump_clock: MockClock) -> None:
    async with world() as w:
        client, slow = await w.client(1), await w.client(2)
        slow.reading = False
        for number in range(1, 4):
            await client.ask(AssignNumber(7, number))
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert (room.revision, room.accepted, room.commit.count) == (3, 3, 3)
        assert [s.sink.queued > 0 for s in room.subscribers] == [False, True]
        assert replace(room.subscribers[0], sink=room.subscribers[1].sink).lag == 0
