"""One room under a mock clock: what its subscribers and its operators see."""

from __future__ import annotations

import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber, Command, CreateMemo
from gbs_actor.rooms import (
    Accepted,
    EncodedRow,
    RoomSettings,
    RoomState,
    RoomSupervisor,
    Snapshot,
    Tracepoint,
)
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import Attempt, CommitRefused, Delta
from gbs_actor.testing.store import Fault

from .peers import Client, TestFormat, Updates
from .retreats import small_seed
from .world import COMMAND_ID, World, code, give_all, world


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
        w.store.fail(Fault.SLOW)
        give_all(client, 1, 2, 3, 4)
        await client.subscriber.wait_replied()
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
        await author.subscriber.wait_replied()
        assert form.encodings == len(viewers[0].updates)
        assert all(viewer.rows == author.rows for viewer in viewers)


async def test_each_answer_comes_behind_the_rows_of_its_revision_and_before_newer_ones(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author = await w.client()
        give_all(author, 1, 2, 3)
        await author.subscriber.wait_replied()
        revisions = [
            (type(message).__name__, message.revision)
            for _, message in author.transcript
            if hasattr(message, "revision")
        ]
        answers = [r for kind, r in revisions if kind == "Accepted"]
        assert answers == [1, 2, 3]
        assert [r for _, r in revisions] == sorted(r for _, r in revisions)


async def test_who_waits_for_an_answer_is_sent_it_before_the_others_get_the_rows(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        viewers = [await w.client(1), await w.client(2)]
        author = await w.client(3)
        seen_before: list[int] = []
        command = author.command(AssignNumber(7, 1))

        def reply(answer: Accepted | Rejection) -> None:
            seen_before.extend(len(viewer.updates) for viewer in viewers)

        w.supervisor.submit(author.subscriber, command, reply)
        await author.subscriber.wait_replied()
        await trio.sleep(1)
        assert seen_before == [0, 0]
        assert all(viewer.updates for viewer in viewers)


async def test_a_full_mailbox_answers_room_busy_at_once(autojump_clock: MockClock) -> None:
    async with world(config=RoomSettings(mailbox_size=2)) as w:
        client = await w.client()
        pendings = give_all(client, 1, 2, 3)
        assert [code(a) for a in pendings[2].answers] == [Code.ROOM_BUSY]
        await client.subscriber.wait_replied()
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
        w.store.fail(Fault.SLOW)
        pending = client.give(client.command(AssignNumber(7, 1)))
        await client.join("summer")
        kinds = [type(message).__name__ for _, message in client.transcript]
        assert isinstance(pending.answers[0], Accepted)
        assert kinds.index("Accepted") < len(kinds) - 1 - kinds[::-1].index("Snapshot")


def join_at_once(w: World, client: Client, answers: list[Snapshot | Rejection]) -> bool:
    return w.supervisor.join_nowait("winter", client.subscriber, reply=answers.append)


async def test_a_room_with_nothing_to_do_is_joined_at_once_and_the_others_see_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        present = await w.client(1)
        await trio.sleep(5)
        answers: list[Snapshot | Rejection] = []
        client = Client(w.supervisor, 2)
        assert join_at_once(w, client, answers)
        assert client.subscriber.room_slug == "winter"
        assert [type(each) for each in answers] == [Snapshot]
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        await trio.sleep(5)
        assert present.presences[-1].total == 2


async def test_a_room_that_is_at_work_is_not_joined_at_once(autojump_clock: MockClock) -> None:
    async with world("winter", "summer") as w:
        answers: list[Snapshot | Rejection] = []
        newcomer = Client(w.supervisor, 2)
        assert not join_at_once(w, newcomer, answers)  # it is not loaded
        author, elsewhere = await w.client(1), await w.client(3, "summer")
        await trio.sleep(5)
        assert not join_at_once(w, elsewhere, answers)
        w.store.fail(Fault.SLOW)
        give_all(author, 1)
        assert not join_at_once(w, newcomer, answers)  # something is queued
        await wait_all_tasks_blocked()
        assert not join_at_once(w, newcomer, answers)  # a commit is under way
        await author.subscriber.wait_replied()
        await trio.sleep(5)
        with trio.move_on_after(0):
            await w.supervisor.drain()
        assert not join_at_once(w, newcomer, answers)
        assert (answers, newcomer.subscriber.room) == ([], None)


async def test_a_command_outside_is_answered_before_a_room_is_joined(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        await w.client(1)
        client = Client(w.supervisor, 2)
        command = Command(
            AssignNumber(15, 1),
            author=client.author,
            id=COMMAND_ID,
            client_made_id=True,
            outside_room=True,
        )
        w.supervisor.submit_outside("summer", client.subscriber, command, lambda _: None)
        assert not join_at_once(w, client, [])


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
        w.store.fail(Fault.SLOW, of="read")
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
        w.store.fail(Fault.SLOW, of="read")
        first, second = Client(w.supervisor, 1), Client(w.supervisor, 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.join, "winter")
            with trio.move_on_after(0.5):
                await first.join("winter")
        assert (len(first.rows), len(second.rows)) == (0, 8)


async def test_a_room_without_subscribers_stops_after_its_idle_time_and_starts_anew(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(idle_timeout=10)) as w:
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
        first = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        second = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert (second.revision, second.row, second.repeated) == (first.revision, first.row, True)
        assert len(await w.store.log(1)) == 1


async def test_a_repeat_is_recognised_after_the_room_has_been_started_anew(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        first = await client.ask(CreateMemo(7, "메모", ""), command_id=COMMAND_ID)
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(1)
        second = await client.ask(CreateMemo(7, "메모", ""), command_id=COMMAND_ID)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert (second.revision, second.repeated) == (first.revision, True)


async def test_an_id_used_for_another_command_fails_validation(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        assert (
            code(await client.ask(AssignNumber(7, 2), command_id=COMMAND_ID))
            is Code.VALIDATION_FAILED
        )


async def test_a_rejected_command_is_decided_anew(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(CreateMemo(7, "메모", ""))
        refused = await client.ask(CreateMemo(7, "다른", ""), command_id=COMMAND_ID)
        assert code(refused) is Code.CONFLICT
        await client.ask(AssignNumber(7, 3))
        again = await client.ask(CreateMemo(7, "메모", ""), command_id=COMMAND_ID)
        assert isinstance(again, Accepted)


async def test_a_poisonous_command_takes_no_other_of_its_batch_with_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        good = client.give(client.command(AssignNumber(7, 1)))
        bad = client.give(client.command(object()))  # type: ignore[arg-type]  # a bug elsewhere
        await client.subscriber.wait_replied()
        assert isinstance(good.answers[0], Accepted)
        assert code(bad.answers[0]) is Code.INTERNAL
        assert w.state() is RoomState.RUNNING


class _PickyStore(MemoryStore):
    """Refuses whatever has a memo with a question mark."""

    async def commit(self, attempt: Attempt) -> Delta | None:
        if any(b"?" in change.request for change in attempt.changes):
            await trio.lowlevel.checkpoint()
            raise CommitRefused("invalid value", data_error=True)
        return await super().commit(attempt)


async def test_a_data_error_of_a_batch_is_the_culprits_alone(autojump_clock: MockClock) -> None:
    store = _PickyStore()
    await store.import_retreat(small_seed())
    async with RoomSupervisor(store).running() as supervisor:
        client = Client(supervisor)
        await client.join("winter")
        before = client.give(client.command(AssignNumber(7, 1)))
        culprit = client.give(client.command(CreateMemo(7, "?", "")))
        after = client.give(client.command(CreateMemo(8, "!", "")))
        await client.subscriber.wait_replied()
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


async def test_a_command_behind_a_leave_is_not_in_room(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.supervisor.leave(client.subscriber)
        pending = client.give(client.command(AssignNumber(7, 1)))
        await client.subscriber.wait_replied()
        assert code(pending.answers[0]) is Code.NOT_IN_ROOM
        assert await w.store.log(1) == []


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


class MovingFormat(TestFormat):
    """Takes its only client out of the room while a row is encoded for it."""

    client: Client

    def update(self, row: EncodedRow) -> Updates:
        self.client.subscriber.enter(None)
        return super().update(row)


async def test_who_moves_on_in_the_middle_of_a_fan_out_gets_nothing_more_of_it(
    autojump_clock: MockClock,
) -> None:
    # The author itself cannot: its next join waits for the reply.
    async with world() as w:
        author = await w.client(1)
        form = MovingFormat()
        form.client = Client(w.supervisor, 2, form)
        await form.client.join("winter")
        assert isinstance(await author.ask(AssignNumber(7, 1)), Accepted)
        assert form.client.updates == []
        assert author.updates != []


async def test_who_moves_on_while_the_others_are_served_gets_nothing_more(
    autojump_clock: MockClock,
) -> None:
    class Dismissing(Client):
        def deliver(self, message: object) -> None:
            super().deliver(message)
            if self.updates:
                later.subscriber.enter(None)

    async with world() as w:
        author, later = Client(w.supervisor, 1), Client(w.supervisor, 3)
        first = Dismissing(w.supervisor, 2)
        for client in (author, first, later):
            await client.join("winter")
        assert isinstance(await author.ask(AssignNumber(7, 1)), Accepted)
        await trio.sleep(1)
        assert first.updates != []
        assert later.updates == []


async def test_each_subscriber_gets_the_rows_in_its_own_format(autojump_clock: MockClock) -> None:
    async with world() as w:
        author, forms = await w.client(1), [TestFormat(), TestFormat()]
        viewers = [Client(w.supervisor, n, forms[n % 2]) for n in range(2, 6)]
        for viewer in viewers:
            await viewer.join("winter")
        give_all(author, 1, 2)
        await author.subscriber.wait_replied()
        await trio.sleep(1)
        assert [form.encodings for form in forms] == [len(viewers[0].updates)] * 2
