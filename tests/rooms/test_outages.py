"""A store that fails: what is answered, and when."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Accepted, RoomSettings, Tracepoint
from gbs_actor.testing.environment import START, seeded_environment
from gbs_actor.testing.store import Fault

from .world import COMMAND_ID, code, world


async def test_an_unreachable_store_refuses_commands_while_reads_and_joins_go_on(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.UNAVAILABLE)
        w.store.fail(*[Fault.UNAVAILABLE] * 8, of="read")
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
        w.store.fail(Fault.LOST_AFTER)
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert (answer.revision, len(await w.store.log(1))) == (1, 1)


async def test_a_lost_commit_is_fenced_off_and_made_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.LATE)
        answer = await client.ask(AssignNumber(7, 1))
        await trio.sleep(10)
        assert isinstance(answer, Accepted)
        assert [entry.kind.value for entry in await w.store.log(1)] == ["fence", "assign-number"]


async def test_fences_and_changes_are_of_the_environments_clock_and_ids(
    autojump_clock: MockClock,
) -> None:
    async with world(environment=seeded_environment(3)) as w:
        client = await w.client()
        w.store.fail(Fault.LATE)
        await client.ask(AssignNumber(7, 1))
        fence, _ = await w.store.log(1)
        ids = seeded_environment(3)
        assert fence.command_id in {ids.uuid() for _ in range(3)}
        assert START <= fence.at.timestamp() < START + 60
        await trio.sleep(90)
        await client.ask(AssignNumber(7, 2))
        assert START + 90 <= (await w.store.log(1))[-1].at.timestamp() < START + 150


async def test_an_outcome_that_stays_unknown_is_said_to_be(autojump_clock: MockClock) -> None:
    config = RoomSettings(commit_timeout=5, commit_resolve_timeout=10)
    async with world(config=config) as w:
        client = await w.client()
        w.store.fail(Fault.LOST_AFTER)
        w.store.fail(*[Fault.UNAVAILABLE] * 20)
        started = trio.current_time()
        answer = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        assert code(answer) is Code.OUTCOME_UNKNOWN
        assert trio.current_time() - started == 10
        late = await w.client(2)
        assert len(late.rows) == 8
        await trio.sleep(60)
        again = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        assert isinstance(again, Accepted)
        assert again.repeated
        assert late.rows == client.rows


async def test_a_commit_without_an_answer_is_given_up_after_its_time_out(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(commit_timeout=3)) as w:
        client = await w.client()
        w.store.fail(Fault.HANGS_COMMITTED)
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert trio.current_time() < 5


async def test_a_cold_room_without_a_store_refuses_the_join(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.store.fail(Fault.UNAVAILABLE, of="read")
        client = await w.client()
        assert [code(r) for r in client.refused_joins] == [Code.STORE_UNAVAILABLE]
        await client.join("winter")
        assert len(client.rows) == 8


async def test_a_forgotten_repeat_does_not_pass_for_the_batch_it_is_in(
    autojump_clock: MockClock,
) -> None:
    """OK for a command beside it would be OK for something that was never saved."""
    async with world(config=RoomSettings(remembered_commands=0)) as w:
        client, viewer = await w.client(1), await w.client(2)
        first = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        await client.ask(AssignNumber(7, 2))
        w.store.fail(Fault.LOST_BEFORE)
        repeat = client.give(client.command(AssignNumber(7, 1), command_id=COMMAND_ID))
        other = client.give(client.command(AssignNumber(8, 1)))
        await client.subscriber.wait_replied()
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
        await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        w.store.fail(Fault.UNAVAILABLE)
        refused = other.give(other.command(AssignNumber(7, 3)))
        client.give(client.command(AssignNumber(7, 1), command_id=COMMAND_ID))
        await client.subscriber.wait_replied()
        assert code(refused.answers[0]) is Code.STORE_UNAVAILABLE
        assert client.rows[7]["gbsNumber"] == 1


async def test_a_retry_in_an_outage_is_told_the_same_and_holds_nothing_up(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.LOST_BEFORE, *[Fault.UNAVAILABLE] * 1_000)
        w.store.fail(*[Fault.UNAVAILABLE] * 1_000, of="read")
        assert (
            code(await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID))
            is Code.OUTCOME_UNKNOWN
        )
        with trio.fail_after(1):
            again = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        assert code(again) is Code.OUTCOME_UNKNOWN
        w.supervisor.disconnect(client.subscriber)
        await trio.sleep(1)
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.subscribers == ()


async def test_a_repeat_that_waits_for_an_unknown_outcome_waits_as_long_as_the_first(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(commit_resolve_timeout=10)) as w:
        client, other = await w.client(1), await w.client(2)
        w.store.fail(Fault.LOST_BEFORE, *[Fault.UNAVAILABLE] * 1_000)
        client.give(client.command(AssignNumber(7, 1), command_id=COMMAND_ID))
        await trio.sleep(5)
        repeat = other.give(other.command(AssignNumber(7, 1), command_id=COMMAND_ID))
        await trio.sleep(1)
        assert repeat.answers == []
        await trio.sleep(5)
        assert [code(answer) for answer in repeat.answers] == [Code.OUTCOME_UNKNOWN]


async def test_a_leave_waits_for_the_unknown_outcome_of_an_earlier_command(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.LOST_AFTER)
        w.store.fail(Fault.SLOW, of="read")
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
    async with world(config=RoomSettings(commit_resolve_timeout=10)) as w:
        client = await w.client()
        w.store.fail(*[Fault.HANGS, Fault.NONE] * 3)
        started = trio.current_time()
        await client.ask(AssignNumber(7, 1))
        assert trio.current_time() - started <= 10


async def test_a_read_after_a_crash_in_a_commit_is_refused_while_the_store_is_down(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.NONE, *[Fault.UNAVAILABLE] * 1_000)
        w.store.fail(*[Fault.UNAVAILABLE] * 1_000, of="read")
        w.bugs.at = [Tracepoint.STORE_REPLIED]
        client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(5)
        with trio.fail_after(10):
            answer = await w.supervisor.read("winter")
        assert code(answer) is Code.STORE_UNAVAILABLE
