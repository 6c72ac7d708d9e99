"""The client against a peer in memory, by a clock that jumps."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gbs_actor.client import (
    Backoff,
    CommandFailed,
    ConnectError,
    Disconnected,
    EditingMarked,
    ListReplaced,
    PresenceChanged,
    RowUpdated,
    connect,
)
from gbs_actor.testing.environment import seeded_environment
from tests.client.peer import NAMESPACE, STEADY, URL, Peer, connected, joined, row

COMMAND_ID = UUID("00000000-0000-4000-8000-000000000001")

AUTH = {"updates": "batch"}
"""The CONNECT payload, apart from the token."""


async def test_the_token_goes_into_the_connect_packet(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            assert await (await peer.next()).greet() == AUTH | {"token": "secret"}

        async with connect(URL, "secret", connect_stream=peer.connect_stream) as client:
            assert client.connected


async def test_without_a_token_the_connect_packet_has_none(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            assert await (await peer.next()).greet() == AUTH

        async with connect(URL, connect_stream=peer.connect_stream) as client:
            assert client.connected


async def test_a_refused_token_is_final(peer: Peer, autojump_clock: MockClock) -> None:
    async def refuse() -> None:
        conversation = await peer.next()
        await conversation.open()
        await conversation.receive()
        data = json.dumps({"message": "Invalid token", "data": {"code": "INVALID_TOKEN"}})
        await conversation.send(f"44{NAMESPACE},{data}")

    peer.nursery.start_soon(refuse)
    with pytest.raises(ConnectError) as refused:
        async with connect(URL, "wrong", connect_stream=peer.connect_stream):
            pytest.fail("connected")
    assert refused.value.code == "INVALID_TOKEN"
    assert len(peer.attempts) == 1


async def test_an_unreachable_server_is_tried_until_the_time_is_up(
    peer: Peer, autojump_clock: MockClock
) -> None:
    peer.unreachable = True
    with pytest.raises(Disconnected, match="nobody there"):
        async with connect(
            URL, connect_stream=peer.connect_stream, backoff=STEADY, connect_timeout=10
        ):
            pytest.fail("connected")
    start = peer.attempts[0]
    assert [at - start for at in peer.attempts] == [0, 1, 3, 7]


async def test_an_exception_of_the_block_leaves_it_ungrouped(
    peer: Peer, autojump_clock: MockClock
) -> None:
    with pytest.raises(LookupError):
        async with connected(peer):
            raise LookupError


async def test_cancelling_the_block_leaves_nothing_behind(
    peer: Peer, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(5) as scope:
        async with connected(peer):
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_leaving_the_block_says_goodbye(peer: Peer, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery, connected(peer) as (_, conversation):

        @nursery.start_soon
        async def farewell() -> None:
            assert await conversation.receive() == f"41{NAMESPACE},"


async def test_a_silent_server_cannot_hold_up_the_goodbye(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with connected(peer):
        # The far side neither reads nor closes from here on.
        start = trio.current_time()
    assert trio.current_time() - start <= 1.0


async def test_a_join_returns_the_rows(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(2), row(1), revision=9) as (client, _):
        assert [it.id for it in client.rows] == [1, 2]
        assert (client.revision, client.epoch, client.retreat) == (9, "e", "winter")


async def test_a_failed_join_leaves_the_former_room(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def wish() -> None:
                with pytest.raises(CommandFailed) as failed:
                    await client.join("nowhere")
                assert failed.value.code == "RETREAT_NOT_FOUND"

            sent = await conversation.event()
            await conversation.answer(sent, status="ERROR", code="RETREAT_NOT_FOUND", message="no")
        assert client.retreat == "winter"
        assert len(client.rows) == 1


async def test_leaving_the_room_empties_the_list(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.leave)
            sent = await conversation.event()
            assert (sent.name, sent.argument) == ("leave-retreat", "winter")
            await conversation.ok(sent, None, 1)
        assert (client.rows, client.retreat) == ((), None)


async def test_an_assignment_returns_the_row_of_the_answer(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def assign() -> None:
                changed = await client.assign(1, 4, base_revision=3, command_id=COMMAND_ID)
                assert changed.gbs_number == 4

            sent = await conversation.event()
            assert sent.name == "update-gbs-number"
            assert sent.argument == {
                "userRetreatRegistrationId": 1,
                "gbsNumber": 4,
                "baseRevision": 3,
                "commandId": str(COMMAND_ID),
            }
            await conversation.ok(sent, row(1, 5, gbsNumber=4), 5)
        assert client.rows[0].gbs_number == 4
        assert client.revision == 5


async def test_memo_commands_say_which_memo(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        sent = []
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def edit() -> None:
                await client.create_memo(1, "새 메모", "#FF0000", command_id=COMMAND_ID)
                await client.update_memo(77, "다른 메모", command_id=COMMAND_ID)
                await client.delete_memo(77, command_id=COMMAND_ID)

            for revision in (1, 2, 3):
                sent.append(await conversation.event())
                await conversation.ok(sent[-1], row(1, revision), revision)
    command_id = str(COMMAND_ID)
    assert [(it.name, it.argument) for it in sent] == [
        (
            "create-lineup-memo",
            {
                "userRetreatRegistrationId": 1,
                "memo": "새 메모",
                "color": "#FF0000",
                "commandId": command_id,
            },
        ),
        (
            "update-lineup-memo",
            {
                "userRetreatRegistrationMemoId": 77,
                "memo": "다른 메모",
                "color": "",
                "commandId": command_id,
            },
        ),
        (
            "delete-lineup-memo",
            {"userRetreatRegistrationMemoId": 77, "commandId": command_id},
        ),
    ]


async def test_a_conflict_tells_the_other_value(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def assign() -> None:
                with pytest.raises(CommandFailed) as failed:
                    await client.assign(1, 4, base_revision=3)
                assert failed.value.code == "CONFLICT"
                assert failed.value.row is not None
                assert failed.value.row.gbs_number == 9
                assert failed.value.conflict is not None
                assert failed.value.conflict.theirs == 9
                assert failed.value.conflict.changed_by == "김간사"

            await conversation.answer(
                await conversation.event(),
                status="ERROR",
                code="CONFLICT",
                message="changed meanwhile",
                data=row(1, 8, gbsNumber=9),
                conflict={
                    "field": "gbsNumber",
                    "theirs": 9,
                    "changedBy": "김간사",
                    "changedAt": "2024-01-01T00:00:00.000Z",
                    "revision": 8,
                },
            )
        assert client.rows[0].gbs_number == 9


async def test_rows_merge_in_the_order_of_arrival_around_an_answer(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        feed = client.updates()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.assign, 1, 2)
            sent = await conversation.event()
            await conversation.ok(sent, row(1, 1, gbsNumber=2), 1)
            await conversation.emit("lineup-updated", row(1, 2, gbsNumber=3))
            async for update in feed:
                if isinstance(update, RowUpdated) and update.row.revision == 2:
                    break
        assert client.rows[0].gbs_number == 3
        assert client.statistics().backward_merges == 0


async def test_the_rows_and_groups_of_an_update_arrive_together(
    peer: Peer, autojump_clock: MockClock
) -> None:
    rows = [row(1, gbsNumber=1), row(2, gbsNumber=2), row(3)]
    async with joined(peer, *rows, revision=3) as (client, conversation):
        feed = client.updates()
        counts = {"totalCount": 2, "maleCount": 0, "femaleCount": 2}
        counts |= {"fullAttendanceCount": 2, "partialAttendanceCount": 0}
        update = {
            "revision": 4,
            "rows": [row(3, 4, gbsNumber=1)],
            "groups": [{"gbsNumber": 1, "revision": 4, "gbsMemo": "", **counts}],
            "changes": [],
        }
        await conversation.emit("lineups-updated", update)
        await client.until(lambda it: it.revision == 4)
        changed = [await anext(feed), await anext(feed)]
        assert {
            (it.row.id, it.row.total_count) for it in changed if isinstance(it, RowUpdated)
        } == {
            (1, 2),
            (3, 2),
        }
        await conversation.emit("lineups-updated", {"revision": 5, "removed": [2]})
        assert await anext(feed) == ListReplaced(client.rows, 5)
        assert [it.id for it in client.rows] == [1, 3]


async def test_the_revision_of_an_answer_is_not_what_a_later_join_asks_from(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), revision=3) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.assign, 1, 4)
            sent = await conversation.event()
            await conversation.ok(sent, row(1, 9, gbsNumber=4), None)
        assert client.rows[0].gbs_number == 4
        await conversation.drop()
        again = await peer.next()
        await again.greet()
        asked = await again.let_join(row(1, 9, gbsNumber=4), revision=9, full=False)
        assert asked.argument == {"retreatSlug": "winter", "since": 3, "epoch": "e"}


NOT_A_NUMBER: tuple[Any, ...] = (math.nan, math.inf, 3.0, 3.5, True, "3", Decimal(3))


@pytest.mark.parametrize("number", NOT_A_NUMBER)
async def test_what_is_no_integer_is_refused_before_anything_is_sent(
    peer: Peer, autojump_clock: MockClock, number: Any
) -> None:
    async with joined(peer, row(1), revision=3) as (client, conversation):
        with pytest.raises(ValueError, match="gbsNumber"):
            await client.assign(1, number)
        with pytest.raises(ValueError, match="base_revision"):
            await client.assign(1, 4, base_revision=number)
        with pytest.raises(ValueError, match="registration_id"):
            await client.create_memo(number, "메모")
        with pytest.raises(ValueError, match="memo_id"):
            await client.delete_memo(number)
        with pytest.raises(ValueError, match="between 1 and 9999"):
            await client.assign(1, 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.assign, 1, None)
            sent = await conversation.event()
            assert isinstance(sent.argument, dict)
            assert sent.argument["gbsNumber"] is None  # the first that was sent
            await conversation.ok(sent, row(1, 4), 4)


async def test_a_retryable_answer_is_asked_again_with_the_same_id(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1)) as (client, conversation), trio.open_nursery() as nursery:
        nursery.start_soon(client.assign, 1, 2)
        first = await conversation.event()
        start = trio.current_time()
        await conversation.answer(
            first, status="ERROR", code="ROOM_BUSY", message="full", retryable=True
        )
        second = await conversation.event()
        assert trio.current_time() - start == pytest.approx(1.0)
        assert second.argument == first.argument
        assert second.ack_id != first.ack_id
        await conversation.ok(second, row(1, 1, gbsNumber=2), 1)


async def test_retryable_answers_end_with_the_last_one_when_time_is_up(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), command_timeout=6) as (client, conversation):

        async def stay_busy() -> None:
            while True:
                sent = await conversation.event()
                await conversation.answer(
                    sent, status="ERROR", code="ROOM_BUSY", message="full", retryable=True
                )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stay_busy)
            with pytest.raises(CommandFailed) as failed:
                await client.assign(1, 2)
            nursery.cancel_scope.cancel()
        assert failed.value.code == "ROOM_BUSY"


async def test_a_final_refusal_is_not_repeated(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def assign() -> None:
                with pytest.raises(CommandFailed) as failed:
                    await client.assign(1, 2)
                assert failed.value.code == "LEADER_LOCKED"

            sent = await conversation.event()
            await conversation.answer(sent, status="ERROR", code="LEADER_LOCKED", message="no")
        assert client.statistics().resent == 0


async def test_a_command_without_an_answer_is_sent_again_after_a_reconnection(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), revision=3) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.assign, 1, 2)
            first = await conversation.event()
            await conversation.drop()
            again = await peer.next()
            await again.greet()
            await again.let_join(revision=3, full=False)
            second = await again.event()
            assert second.argument == first.argument
            await again.ok(second, row(1, 4, gbsNumber=2), 4)
        assert client.rows[0].gbs_number == 2
        assert client.statistics().resent == 1


async def test_a_command_given_while_disconnected_waits_for_the_room(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), revision=3) as (client, conversation):
        await conversation.drop()
        await trio.testing.wait_all_tasks_blocked()
        assert not client.connected
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.assign, 1, 2)
            again = await peer.next()
            await again.greet()
            await again.let_join(revision=3, full=False)
            await again.ok(await again.event(), row(1, 4, gbsNumber=2), 4)


async def test_a_rejoin_asks_for_what_was_missed(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1), row(2), revision=3) as (client, conversation):
        feed = client.updates()
        await conversation.drop()
        again = await peer.next()
        await again.greet()
        sent = await again.let_join(row(2, 5, gbsNumber=8), revision=5, full=False)
        assert sent.argument == {"retreatSlug": "winter", "since": 3, "epoch": "e"}
        update = await anext(feed)
        assert isinstance(update, RowUpdated)
        assert update.row.id == 2
        assert {it.id: it.gbs_number for it in client.rows} == {1: None, 2: 8}


async def test_a_full_answer_to_a_rejoin_replaces_the_list(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), row(2), revision=30) as (client, conversation):
        feed = client.updates()
        await conversation.drop()
        again = await peer.next()
        await again.greet()
        await again.let_join(row(2, 1), revision=2, epoch="another")
        assert isinstance(await anext(feed), ListReplaced)
        assert [it.id for it in client.rows] == [2]
        assert (client.revision, client.epoch) == (2, "another")


async def test_a_room_that_is_gone_after_a_reconnection_ends_the_client(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        await conversation.drop()
        again = await peer.next()
        await again.greet()
        sent = await again.event()
        await again.answer(sent, status="ERROR", code="RETREAT_NOT_FOUND", message="gone")
        with pytest.raises(CommandFailed) as failed:
            await client.assign(1, 1)
        assert failed.value.code == "RETREAT_NOT_FOUND"


async def test_waiting_times_grow_from_loss_to_loss_and_start_over_after_success(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with connected(peer) as (_, conversation):
        peer.unreachable = True
        peer.attempts.clear()
        start = trio.current_time()
        await conversation.drop()
        await trio.sleep(10)
        assert [at - start for at in peer.attempts] == pytest.approx([1, 3, 7])
        peer.unreachable = False
        second = await peer.next()
        await second.greet()
        await trio.testing.wait_all_tasks_blocked()
        peer.attempts.clear()
        start = trio.current_time()
        await second.drop()
        await peer.next()
        assert peer.attempts[0] - start == pytest.approx(1)


async def test_no_answer_within_the_time_says_the_outcome_is_unknown(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), command_timeout=5) as (client, _):
        with pytest.raises(Disconnected) as unanswered:
            await client.assign(1, 2, command_id=COMMAND_ID)
        assert unanswered.value.command_id == COMMAND_ID


async def test_a_command_that_never_went_out_has_no_unknown_outcome(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), command_timeout=5) as (client, conversation):
        peer.unreachable = True
        await conversation.drop()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Disconnected) as unanswered:
            await client.assign(1, 2, command_id=COMMAND_ID)
        assert unanswered.value.command_id is None


async def test_an_answer_after_the_caller_gave_up_still_counts(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        with trio.move_on_after(1):
            await client.assign(1, 2)
        feed = client.updates()
        await conversation.ok(await conversation.event(), row(1, 1, gbsNumber=2), 1)
        assert isinstance(await anext(feed), RowUpdated)
        assert client.rows[0].gbs_number == 2


async def test_calls_beyond_the_bound_wait_for_an_answer(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with (
        joined(peer, row(1), max_pending=2) as (client, conversation),
        trio.open_nursery() as nursery,
    ):
        for number in (1, 2, 3):
            nursery.start_soon(client.assign, 1, number)
        sent = [await conversation.event(), await conversation.event()]
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().unanswered == 2
        await conversation.ok(sent[0], row(1, 1), 1)
        sent.append(await conversation.event())
        await conversation.ok(sent[1], row(1, 2), 2)
        await conversation.ok(sent[2], row(1, 3), 3)


async def test_pings_are_answered(peer: Peer, autojump_clock: MockClock) -> None:
    async with connected(peer) as (_, conversation):
        await conversation.send("2")
        assert await conversation.receive() == "3"


async def test_missing_pings_end_the_connection_on_time(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with connected(peer) as (client, conversation):
        start = trio.current_time()
        await trio.sleep(20)
        await conversation.send("2")
        await peer.next()
        assert trio.current_time() - start == pytest.approx(20 + 85 + 1)
        assert "no ping" in client.statistics().last_loss


async def test_other_packets_do_not_stand_in_for_pings(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with connected(peer) as (_, conversation):
        start = trio.current_time()
        await trio.sleep(60)
        await conversation.emit("room-presence", {"users": [], "total": 0})
        await peer.next()
        assert trio.current_time() - start == pytest.approx(85 + 1)


async def test_a_server_that_says_nothing_is_given_up_and_tried_again(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async def serve() -> None:
        await peer.next()  # never opens the session
        await (await peer.next()).greet()

    peer.nursery.start_soon(serve)
    async with connect(
        URL,
        connect_stream=peer.connect_stream,
        backoff=STEADY,
        attempt_timeout=3,
        connect_timeout=20,
    ) as client:
        assert client.statistics().attempts == 2


async def test_a_stream_that_ends_in_the_handshake_is_tried_again_soon(
    peer: Peer, autojump_clock: MockClock
) -> None:
    served = 0

    async def connect_stream(host: str, port: int) -> trio.abc.Stream:
        nonlocal served
        served += 1
        if served > 1:
            return await peer.connect_stream(host, port)
        near, far = trio.testing.memory_stream_pair()
        await trio.aclose_forcefully(far)
        return near

    async def serve() -> None:
        await (await peer.next()).greet()

    peer.nursery.start_soon(serve)
    start = trio.current_time()
    async with connect(URL, connect_stream=connect_stream, backoff=STEADY):
        assert trio.current_time() - start == pytest.approx(1)


async def test_the_servers_disconnect_is_final(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        feed = client.updates()
        await conversation.send(f"41{NAMESPACE},")
        with pytest.raises(ConnectError):
            await anext(feed)
        with pytest.raises(ConnectError):
            await client.assign(1, 1)
        assert len(peer.attempts) == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        "garbage",
        "42/gbs-lineup,{",
        '42/gbs-lineup,["lineup-updated",{"id":"one"}]',
        '42/gbs-lineup,["lineups-updated",{"rows":[]}]',
        "43/gbs-lineup,99[{}]",
        '42/gbs-lineup,["lineup-updated",' + "[" * 5_000,
    ],
)
async def test_nonsense_from_the_server_ends_that_connection_only(
    peer: Peer, autojump_clock: MockClock, nonsense: str
) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        await conversation.send(nonsense)
        again = await peer.next()
        await again.greet()
        await again.let_join(row(1))
        await trio.testing.wait_all_tasks_blocked()
        assert client.connected


async def test_presence_and_marks_are_told(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, conversation):
        feed = client.updates()
        await conversation.emit(
            "room-presence",
            {
                "users": [{"userId": 7, "userName": "김", "connections": 1, "editing": []}],
                "total": 1,
            },
        )
        await conversation.emit(
            "user-editing",
            {
                "lineupId": 1,
                "userRetreatRegistrationId": 1,
                "userId": 8,
                "adminUserId": 8,
                "userName": "이",
                "field": "gbsNumber",
                "editing": True,
            },
        )
        presence, mark = await anext(feed), await anext(feed)
        assert isinstance(presence, PresenceChanged)
        assert presence.users[0].user_id == 7
        assert mark == EditingMarked(1, 8, 8, "이", "gbsNumber", True)


async def test_a_new_token_is_used_from_the_next_connection_on(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with connected(peer) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.authenticate, "newer")
            sent = await conversation.event()
            assert (sent.name, sent.argument) == ("authenticate", {"token": "newer"})
            await conversation.answer(sent, status="OK", data=None, revision=None)
        await conversation.drop()
        assert await (await peer.next()).greet() == AUTH | {"token": "newer"}


async def test_a_refused_new_token_is_not_kept(peer: Peer, autojump_clock: MockClock) -> None:
    async with connected(peer) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def authenticate() -> None:
                with pytest.raises(CommandFailed):
                    await client.authenticate("another user's")

            await conversation.answer(
                await conversation.event(), status="ERROR", code="FORBIDDEN", message="no"
            )
        await conversation.drop()
        assert await (await peer.next()).greet() == AUTH | {"token": "t"}


async def test_feeds_end_when_the_client_is_closed(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer, row(1)) as (client, _):
        feed = client.updates()
    assert [update async for update in feed] == []
    assert [update async for update in client.updates()] == []


async def test_a_condition_is_asked_again_whenever_something_arrives(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with (
        joined(peer, row(1), revision=3) as (client, conversation),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.until, lambda client: client.revision >= 5)
        await conversation.emit("lineup-updated", row(1, 4))
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        await conversation.emit("lineup-updated", row(1, 5))


async def test_waiting_for_a_condition_ends_with_the_client(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery, joined(peer, row(1)) as (client, _):

        @nursery.start_soon
        async def wait() -> None:
            with pytest.raises(Disconnected):
                await client.until(lambda _: False)

        await trio.testing.wait_all_tasks_blocked()


async def test_a_room_that_stays_closed_does_not_keep_the_client_from_another(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async def serve() -> None:
        conversation = await peer.next()
        await conversation.greet()
        await conversation.let_join(row(1))
        await conversation.drop()
        conversation = await peer.next()
        await conversation.greet()
        while True:
            asked = await conversation.event()
            if "closed" in str(asked.argument):
                await conversation.answer(
                    asked, status="ERROR", code="ROOM_UNAVAILABLE", message="", retryable=True
                )
            else:
                await conversation.ok(asked, [], 0, epoch="e", full=True)
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with connect(URL, "t", connect_stream=peer.connect_stream) as client:
            await client.join("closed")
            await trio.sleep(20)
            with trio.fail_after(5):
                await client.join("open")
            assert client.retreat == "open"


async def test_ids_of_commands_and_pauses_come_from_the_environment(
    peer: Peer, autojump_clock: MockClock
) -> None:
    expected = seeded_environment(5)
    backoff = Backoff(initial=10.0, jitter=0.5)
    options: dict[str, Any] = {"backoff": backoff, "environment": seeded_environment(5)}
    async with joined(peer, row(1), **options) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.assign, 1, 3)
            sent = await conversation.event()
            assert isinstance(sent.argument, dict)
            assert sent.argument["commandId"] == str(expected.uuid())
            await conversation.ok(sent, row(1, 1), 1)
        peer.unreachable = True
        lost_at = trio.current_time()
        await conversation.drop()
        await trio.sleep(30)
        first, second = peer.attempts[1:3]
        pauses = [10.0 * (1 - 0.5 * expected.chance()) for _ in range(2)]
        assert [first - lost_at, second - first] == pytest.approx(pauses)
