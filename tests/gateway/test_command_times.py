"""How long commands took: from the read of their bytes, whatever they then wait for."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from gbs_actor.lineup.codes import Code
from tests.gateway.serving import OTHER_SLUG, Transport, world

EDIT = {"userRetreatRegistrationId": 2, "gbsNumber": 3}
NOBODY = {"userRetreatRegistrationId": 999, "gbsNumber": 3}


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    chosen: Transport = request.param
    return chosen


async def test_a_slow_commit_counts_up_to_the_ack_and_up_to_the_last_send(
    transport: Transport, mock_clock: trio.testing.MockClock
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        times = here.rooms.times
        here.store.commits_may_go_on = trio.Event()
        number = await peer.begin("update-gbs-number", EDIT)
        await here.store.commit_waits.wait()
        mock_clock.jump(2.0)
        assert not sum(times.ack.totals().counts)
        here.store.commits_may_go_on.set()
        assert (await peer.reply(number))["status"] == "OK"
        for histogram in (times.ack, times.delivered):
            totals = histogram.totals()
            assert sum(totals.counts) == 1
            assert totals.total == pytest.approx(2.0)


async def test_the_wait_behind_an_earlier_event_counts_too(
    transport: Transport, mock_clock: trio.testing.MockClock
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        times, store = here.rooms.times, here.store
        here.services.authorizer.clear_cache()
        store.roles_may_go_on = trio.Event()
        join = await peer.begin("join-retreat", OTHER_SLUG)
        await store.role_waits.wait()
        edit = await peer.begin("update-gbs-number", NOBODY)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(3.0)
        store.roles_may_go_on.set()
        assert (await peer.reply(join))["status"] == "OK"
        assert (await peer.reply(edit))["code"] == Code.NOT_FOUND
        totals = times.ack.totals()
        assert sum(totals.counts) == 1
        assert totals.total == pytest.approx(3.0)
        assert not sum(times.delivered.totals().counts)


async def test_each_command_counts_once_whatever_its_reply(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        times = here.rooms.times
        command = {**EDIT, "commandId": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}
        assert (await peer.call("update-gbs-number", command))["status"] == "OK"
        assert (await peer.call("update-gbs-number", command))["status"] == "OK"  # a repeat
        assert (await peer.call("update-gbs-number", NOBODY))["code"] == Code.NOT_FOUND
        assert (await peer.call("update-gbs-number", {}))["code"] == Code.VALIDATION_FAILED
        assert sum(times.ack.totals().counts) == 3  # the last one never reached a room
        assert sum(times.delivered.totals().counts) == 1
        errors = here.dispatch.statistics().errors
        assert errors == {Code.NOT_FOUND: 1, Code.VALIDATION_FAILED: 1}


async def test_commands_that_are_left_over_count_when_they_are_rejected(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        times, store = here.rooms.times, here.store
        store.commits_may_go_on = trio.Event()
        first = await peer.begin("update-gbs-number", EDIT)
        await store.commit_waits.wait()
        second = await peer.begin("update-gbs-number", EDIT)
        await trio.testing.wait_all_tasks_blocked()
        here.rooms.reject_pending()
        assert (await peer.reply(first))["code"] == Code.OUTCOME_UNKNOWN
        assert (await peer.reply(second))["code"] == Code.ROOM_UNAVAILABLE
        assert sum(times.ack.totals().counts) == 2
        store.commits_may_go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        assert sum(times.ack.totals().counts) == 2
