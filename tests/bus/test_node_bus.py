"""When a bus sends, what it receives, and what it does about connections."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
import trio.testing
from structlog.testing import capture_logs
from trio.testing import MockClock

from gbs_actor.bus import Hint, Hints
from gbs_actor.bus.node_bus import CONNECT_TIMEOUT, HEARTBEAT, TIMEOUT, NodeBus
from tests.bus.hub import EPOCH, INTERVAL, Hub, HubChannel, settled, started


@asynccontextmanager
async def running(*buses: NodeBus) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await started(nursery, *buses)
        yield
        nursery.cancel_scope.cancel()


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def pair(hub: Hub) -> AsyncIterator[tuple[NodeBus, NodeBus]]:
    """Two nodes that have heard of each other, and wait."""
    first, second = hub.bus("a"), hub.bus("b")
    async with running(first, second):
        await trio.sleep(1.5 * HEARTBEAT)
        assert (await second.next()).gap  # it cannot know whether it missed an earlier message
        hub.sent.clear()
        yield first, second


def hints(*latest: Hint, gap: bool = False) -> Hints:
    return Hints(latest, gap)


class TestSending:
    async def test_a_hint_reaches_the_other_nodes_and_not_its_own(
        self, autojump_clock: MockClock, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        first.publish(1, EPOCH, 5)
        assert await second.next() == hints(Hint(1, EPOCH, 5))
        with trio.move_on_after(10 * HEARTBEAT) as waiting:
            await first.next()
        assert waiting.cancelled_caught

    async def test_after_a_pause_a_hint_is_sent_at_once(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        now = trio.current_time()
        pair[0].publish(1, EPOCH, 5)
        await settled()
        assert [when for when, _ in hub.sent] == [now]

    async def test_what_follows_waits_for_the_interval_and_goes_in_one_message(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        start = trio.current_time()
        for revision in range(1, 31):  # one a millisecond
            pair[0].publish(1, EPOCH, revision)
            pair[0].publish(2, EPOCH, 100 + revision)
            await trio.sleep(0.001)
        await trio.sleep(INTERVAL)
        assert [when - start for when, _ in hub.sent] == pytest.approx([0, 0.02, 0.04])
        assert [len(messages) for _, messages in hub.sent] == [1, 1, 1]
        last = hub.messages[-1].hints
        assert last == (Hint(1, EPOCH, 30), Hint(2, EPOCH, 130))

    async def test_hints_of_many_retreats_are_split(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        for retreat in range(1_000):
            pair[0].publish(retreat, "0123456789abcdef", 1)
        got = await pair[1].next()
        assert len(got.latest) == 1_000
        assert not got.gap
        ((_, messages),) = hub.sent
        assert len(messages) > 3

    async def test_without_hints_there_are_heartbeats_alone(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        await trio.sleep(5.5 * HEARTBEAT)
        assert 10 <= len(hub.sent) <= 12
        assert not any(message.hints for message in hub.messages)

    async def test_it_is_never_waited_for(self, autojump_clock: MockClock, hub: Hub) -> None:
        hub.silent = True
        bus = hub.bus("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bus.run)
            await settled()
            for revision in range(10_000):
                bus.publish(1, EPOCH, revision)
            assert bus.statistics().pending == 1
            nursery.cancel_scope.cancel()

    async def test_hints_of_more_retreats_than_allowed_become_a_gap_of_the_others(
        self, autojump_clock: MockClock, hub: Hub
    ) -> None:
        first, second = hub.bus("a", limit=10), hub.bus("b")
        async with running(first, second):
            await trio.sleep(1.5 * HEARTBEAT)
            assert (await second.next()).gap
            for retreat in range(11):
                first.publish(retreat, EPOCH, 1)
            assert first.statistics().pending == 0
            assert await second.next() == hints(gap=True)
            first.publish(1, EPOCH, 2)
            assert await second.next() == hints(Hint(1, EPOCH, 2))


class TestReceiving:
    async def test_the_first_is_a_gap(self, autojump_clock: MockClock, hub: Hub) -> None:
        bus = hub.bus("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bus.run)
            assert await bus.next() == hints(gap=True)
            nursery.cancel_scope.cancel()

    async def test_what_nobody_takes_is_coalesced(
        self, autojump_clock: MockClock, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        for revision in range(1, 11):
            first.publish(1, EPOCH, revision)
            await trio.sleep(INTERVAL)
        assert await second.next() == hints(Hint(1, EPOCH, 10))

    async def test_what_nobody_takes_is_bounded(self, autojump_clock: MockClock, hub: Hub) -> None:
        first, second = hub.bus("a"), hub.bus("b", limit=10)
        async with running(first, second):
            await trio.sleep(HEARTBEAT)
            await second.next()
            gaps = second.statistics().gaps
            for retreat in range(11):
                first.publish(retreat, EPOCH, 1)
            await settled()
            assert await second.next() == hints(gap=True)
            assert second.statistics().gaps == gaps + 1

    async def test_cancelling_loses_nothing(
        self, autojump_clock: MockClock, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.next)
            await settled()
            first.publish(1, EPOCH, 5)
            nursery.cancel_scope.cancel()
        with trio.move_on_after(0) as cancelled:
            await second.next()
        assert cancelled.cancelled_caught
        assert await second.next() == hints(Hint(1, EPOCH, 5))

    @pytest.mark.parametrize("data", [b"", b"{}", b'{"v":2,"node":"z","serial":1}', b"\xff"])
    async def test_what_cannot_be_read_is_a_gap(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus], data: bytes
    ) -> None:
        before = pair[1].statistics()
        hub.inject(data)
        assert await pair[1].next() == hints(gap=True)
        after = pair[1].statistics()
        assert after.unreadable == before.unreadable + 1
        assert after.gaps == before.gaps + 1
        assert after.connected

    async def test_a_lost_message_is_a_gap_once_the_next_one_arrives(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        hub.deliver = lambda channel, data: channel.pass_on(data) if channel.name == "a" else None
        first.publish(1, EPOCH, 5)
        await settled()
        hub.deliver = HubChannel.pass_on
        assert await second.next() == hints(gap=True)

    async def test_more_nodes_than_are_remembered_are_gaps_alone(
        self,
        autojump_clock: MockClock,
        hub: Hub,
        pair: tuple[NodeBus, NodeBus],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("gbs_actor.bus.serials.MAX_NODES", 3)
        for number in range(10):
            hub.inject(b'{"v":1,"node":"n%d","serial":1}' % number)
        assert len(pair[1]._serials) <= 3
        hub.inject(b'{"v":1,"node":"z","serial":1,"hints":[[1,"e",9]]}')
        assert (await pair[1].next()).latest == (Hint(1, "e", 9),)


class TestConnections:
    async def test_after_each_subscription_there_is_a_gap(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        hub.cut("b")
        assert (await pair[1].next()).gap
        assert pair[1].statistics().connected
        assert pair[1].statistics().last_error == "cut"

    async def test_what_could_not_be_sent_is_sent_later(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        hub.refuses = "down"
        hub.cut("a")
        await settled()
        first.publish(1, EPOCH, 5)
        await trio.sleep(30)
        assert not first.statistics().connected
        assert first.statistics().pending == 1
        first.publish(1, EPOCH, 6)
        hub.refuses = None
        assert await second.next() == hints(Hint(1, EPOCH, 6))

    async def test_what_was_in_hand_when_the_connection_ended_is_a_gap(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        first.publish(1, EPOCH, 5)
        await trio.lowlevel.checkpoint()  # it is about to publish
        hub.cut("a")
        assert await second.next() == hints(gap=True)
        first.publish(1, EPOCH, 6)
        assert await second.next() == hints(Hint(1, EPOCH, 6))

    async def test_a_server_that_does_not_answer_is_left(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        first, second = pair
        hub.silent = True
        await trio.sleep(HEARTBEAT + TIMEOUT + INTERVAL)
        assert not first.statistics().connected
        assert first.statistics().last_error == "no answer within 2 seconds"
        hub.silent = False
        await trio.sleep(2 * CONNECT_TIMEOUT)
        assert (await second.next()).gap
        first.publish(1, EPOCH, 5)
        assert await second.next() == hints(Hint(1, EPOCH, 5))

    async def test_a_server_that_sends_nothing_back_is_left(
        self, autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
    ) -> None:
        hub.deliver = lambda _channel, _data: None
        failures = pair[0].statistics().failures
        await trio.sleep(TIMEOUT + 2 * HEARTBEAT)
        after = pair[0].statistics()
        assert after.failures == failures + 1
        assert after.last_error is not None
        assert "does not come back" in after.last_error

    async def test_it_tries_again_ever_more_slowly_and_soon_after_a_long_connection(
        self, autojump_clock: MockClock, hub: Hub
    ) -> None:
        hub.refuses = "down"
        bus = hub.bus("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bus.run)
            await trio.sleep(60)
            pauses = [b - a for a, b in zip(hub.attempts, hub.attempts[1:], strict=False)]
            assert max(pauses[:1]) <= 0.05
            assert all(1 <= pause <= 2 for pause in pauses[-10:])
            hub.refuses = None
            await trio.sleep(60)
            hub.refuses = "down"
            cut = trio.current_time()
            hub.attempts.clear()
            hub.cut()
            await trio.sleep(1)
            assert hub.attempts[0] - cut <= 0.05
            nursery.cancel_scope.cancel()

    async def test_a_connection_that_ends_again_and_again_is_made_ever_more_slowly(
        self, autojump_clock: MockClock, hub: Hub
    ) -> None:
        bus = hub.bus("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bus.run)
            for _ in range(600):
                hub.cut()
                await trio.sleep(0.1)
            assert len(hub.attempts) < 60
            nursery.cancel_scope.cancel()

    async def test_it_has_started_when_the_first_attempt_has_ended(
        self, hub: Hub, autojump_clock: MockClock
    ) -> None:
        hub.silent = True
        async with trio.open_nursery() as nursery:
            start = trio.current_time()
            bus = hub.bus("a")
            await nursery.start(bus.run)
            assert trio.current_time() - start == pytest.approx(CONNECT_TIMEOUT)
            assert not bus.statistics().connected
            nursery.cancel_scope.cancel()

    async def test_an_outage_is_logged_once_and_its_end_too(
        self, autojump_clock: MockClock, hub: Hub
    ) -> None:
        hub.refuses = "down"
        bus = hub.bus("a")
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                await nursery.start(bus.run)
                await trio.sleep(60)
                hub.refuses = None
                await bus.next()
                nursery.cancel_scope.cancel()
        assert [(line["log_level"], line.get("reason")) for line in logs] == [
            ("warning", "down"),
            ("info", None),
        ]

    async def test_an_error_that_is_no_lost_connection_ends_it(
        self, autojump_clock: MockClock, hub: Hub
    ) -> None:
        def broken(_channel: HubChannel, _data: bytes) -> None:
            raise ZeroDivisionError

        hub.deliver = broken
        bus = hub.bus("a")
        with pytest.raises(ZeroDivisionError):
            await bus.run()
        assert not bus.statistics().connected


async def test_its_statistics(
    autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
) -> None:
    first, second = pair
    before, others = first.statistics(), second.statistics()
    first.publish(1, EPOCH, 5)
    await settled()
    after = first.statistics()
    assert (after.kind, after.connected, after.pending, after.lag) == ("memory", True, 0, 0.0)
    assert after.sent == before.sent + 1
    assert after.own == before.own + 1
    assert after.received == before.received
    assert second.statistics().received == others.received + 1
    assert second.statistics().gaps == others.gaps


async def test_its_lag_is_the_time_until_its_message_comes_back(
    autojump_clock: MockClock, hub: Hub, pair: tuple[NodeBus, NodeBus]
) -> None:
    async with trio.open_nursery() as nursery:

        async def later(channel: HubChannel, data: bytes) -> None:
            await trio.sleep(0.25)
            channel.pass_on(data)

        hub.deliver = lambda channel, data: nursery.start_soon(later, channel, data)
        pair[0].publish(1, EPOCH, 5)
        await trio.sleep(0.3)
        assert pair[0].statistics().lag == pytest.approx(0.25)


def test_nothing_is_logged_by_libraries_about_failures() -> None:
    import gbs_actor.bus.valkey

    assert gbs_actor.bus.valkey
    assert not logging.getLogger("coredis").isEnabledFor(logging.ERROR)
