"""Heartbeat, back-pressure and slow clients, to the millisecond on a clock that jumps."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import ConnectError, Event, OutboxLimits, Socket, SocketServer, encode_event
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Close, Peer, serving

pytestmark = pytest.mark.usefixtures("drivers")


async def test_the_server_pings_at_every_interval_from_the_handshake(clock: MockClock) -> None:
    async with serving(echo_server(ping_interval=25, ping_timeout=60)) as service:
        peer = await service.joined()
        await peer.receive_event()
        times = []
        for _ in range(4):
            assert await peer.receive_text() == "2"
            times.append(trio.current_time())
            await trio.sleep(7)
            await peer.send("3")
    assert times == [25.0, 50.0, 75.0, 100.0]


async def test_a_silent_client_is_gone_when_interval_and_timeout_have_passed(
    clock: MockClock,
) -> None:
    server = echo_server(ping_interval=25, ping_timeout=60)
    gone: list[tuple[str, float]] = []
    server.namespace("/").on_disconnect(
        lambda socket, reason: gone.append((reason, trio.current_time()))
    )
    async with serving(server) as service:
        peer = await service.joined()
        await peer.receive_close()
        await wait_all_tasks_blocked()
        assert gone == [("ping timeout", 85.0)]


async def test_a_late_pong_is_followed_by_the_overdue_ping(clock: MockClock) -> None:
    async with serving(echo_server(ping_interval=25, ping_timeout=60)) as service:
        peer = await service.joined()
        await peer.receive_event()
        await peer.receive_text()
        await trio.sleep(50)
        await peer.send("3")
        assert await peer.receive_text() == "2"
        assert trio.current_time() == 75.0
        await peer.receive_close()
        assert trio.current_time() == 135.0


def reporting_server(received: list[float]) -> SocketServer:
    """Return a server that notes when a client has received what it was sent."""
    server = echo_server(ping_interval=25, ping_timeout=60)

    @server.namespace("/").on("ask")
    def ask(socket: Socket) -> None:
        socket.session.when_received(lambda: received.append(trio.current_time()))

    return server


async def test_a_pong_proves_that_what_was_sent_before_the_ping_was_received(
    clock: MockClock,
) -> None:
    received: list[float] = []
    async with serving(reporting_server(received)) as service:
        peer = await service.joined()
        await peer.receive_event()
        await trio.sleep(5)
        await peer.send('42["ask"]')
        assert await peer.receive_text() == "2"
        assert trio.current_time() == 5.0
        await trio.sleep(7)
        assert received == []
        await peer.send("3")
        assert await peer.receive_text() == "2"
        assert received == [12.0]
        assert trio.current_time() == 30.0  # an interval behind the other


async def test_the_pong_to_an_earlier_ping_proves_nothing(clock: MockClock) -> None:
    received: list[float] = []
    async with serving(reporting_server(received)) as service:
        peer = await service.joined()
        await peer.receive_event()
        assert await peer.receive_text() == "2"
        await peer.send('42["ask"]')
        await trio.sleep(1)
        await peer.send("3")
        assert await peer.receive_text() == "2"
        assert (received, trio.current_time()) == ([], 26.0)
        await peer.send("3")
        assert await peer.receive_text() == "2"
        assert (received, trio.current_time()) == ([26.0], 51.0)


async def test_a_client_that_does_not_answer_an_early_ping_is_gone_in_time(
    clock: MockClock,
) -> None:
    async with serving(reporting_server([])) as service:
        peer = await service.joined()
        await peer.receive_event()
        await trio.sleep(5)
        await peer.send('42["ask"]')
        await peer.receive_close()
        assert trio.current_time() == 65.0


async def test_events_do_not_stand_for_a_pong(clock: MockClock) -> None:
    async with serving(echo_server(ping_interval=25, ping_timeout=60)) as service:
        peer = await service.joined()
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                while True:
                    await peer.send('42["message"]')
                    await trio.sleep(10)

            nursery.start_soon(talk)
            await peer.receive_close()
            assert trio.current_time() == 85.0
            nursery.cancel_scope.cancel()


async def test_pongs_are_taken_while_a_handler_runs(clock: MockClock) -> None:
    server = SocketServer(ping_interval=25, ping_timeout=60)

    @server.namespace("/").on("slow")
    async def slow(socket: Socket) -> None:
        await trio.sleep(500)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send('420["slow"]')
        while (received := await peer.receive()) == "2":
            await peer.send("3")
        assert received == "430[]"
        assert trio.current_time() == 500.0


async def test_a_close_is_taken_while_a_handler_runs_and_cancels_it(clock: MockClock) -> None:
    server = SocketServer()
    seen: list[str] = []
    space = server.namespace("/")

    @space.on("slow")
    async def slow(socket: Socket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append("cancelled")

    @space.on_disconnect
    def gone(socket: Socket, reason: str) -> None:
        seen.append(reason)

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send('420["slow"]')
        await peer.close()
        await wait_all_tasks_blocked()
        assert seen == ["cancelled", "transport close"]


def keeping(server: SocketServer) -> list[Event]:
    """Let a server keep every event unanswered, and return where."""
    events: list[Event] = []

    @server.namespace("/").on_any
    def keep(socket: Socket, event: Event) -> None:
        events.append(event)

    return events


async def test_a_client_with_too_many_unanswered_events_is_not_read_on(clock: MockClock) -> None:
    server = SocketServer(max_unanswered_events=10)
    events = keeping(server)
    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many(*(f'42{i}["work"]' for i in range(50)))
        await wait_all_tasks_blocked()
        assert len(events) == 11
        for event in events[:5]:
            event.reply()
        await wait_all_tasks_blocked()
        assert len(events) == 16
        for event in events[5:]:
            event.reply()


class KeepingLog(logging.Handler):
    """Keeps every record, and so the frames of its traceback with all that is in them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.mark.parametrize("kind", ["plain", "coroutine", "any"])
async def test_a_log_that_keeps_its_records_pauses_no_connection(
    clock: MockClock, kind: str
) -> None:
    server = SocketServer(max_unanswered_events=10, max_held_bytes=10_000)
    space = server.namespace("/")
    log = KeepingLog()
    logging.getLogger("gbs_actor.socketio").addHandler(log)

    if kind == "plain":

        @space.on("work")
        def work(socket: Socket, load: str) -> None:
            raise ValueError(load)

    elif kind == "coroutine":

        @space.on("work")
        async def work_later(socket: Socket, load: str) -> None:
            await trio.sleep(1)
            raise ValueError(load)

    else:

        @space.on_any
        def work_any(socket: Socket, event: Event) -> None:
            raise ValueError(event)

    try:
        async with serving(server) as service:
            peer = await service.joined()
            await peer.send_many(*(f'42{i}["work","{"x" * 2_000}"]' for i in range(50)))
            await trio.sleep(100)
            assert len(log.records) == 50
    finally:
        logging.getLogger("gbs_actor.socketio").removeHandler(log)


async def test_events_behind_a_refused_connect_do_not_count(clock: MockClock) -> None:
    server = SocketServer(max_unanswered_events=10)

    @server.namespace("/").on("work")
    def work(socket: Socket) -> str:
        return "done"

    @server.namespace("/admin").on_connect
    async def refuse(socket: Socket, auth: object) -> None:
        await trio.sleep(1)
        raise ConnectError("no")

    async with serving(server) as service:
        peer = await service.joined()
        for _ in range(5):
            await peer.send_many("40/admin,", *(f'42/admin,{i}["work"]' for i in range(8)))
            assert await peer.receive_text() == '44/admin,{"message":"no"}'
        await peer.send('427["work"]')
        assert await peer.receive_text() == '437["done"]'


async def test_events_of_a_namespace_that_was_left_count_until_their_late_replies(
    clock: MockClock,
) -> None:
    server = SocketServer(max_unanswered_events=10)
    events = keeping(server)
    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many(*(f'42{i}["work"]' for i in range(10)), "41", "40")
        assert (await peer.receive_text()).startswith("40{")
        await peer.send_many(*(f'42{i}["work"]' for i in range(10, 15)))
        await wait_all_tasks_blocked()
        assert len(events) == 11
        for event in events[:10]:
            event.reply("late")
        await wait_all_tasks_blocked()
        assert len(events) == 15
        events[-1].reply("in time")
        assert await peer.receive_text() == '4314["in time"]'


async def test_events_that_their_handler_releases_do_not_count(clock: MockClock) -> None:
    server = SocketServer(max_unanswered_events=10)
    handled = 0

    @server.namespace("/").on_any
    def drop(socket: Socket, event: Event) -> None:
        nonlocal handled
        handled += 1
        event.release()

    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many(*(f'42{i}["work"]' for i in range(50)))
        await wait_all_tasks_blocked()
        assert handled == 50


async def test_events_without_a_handler_do_not_count(clock: MockClock) -> None:
    async with serving(SocketServer(max_unanswered_events=10)) as service:
        service.server.namespace("/")
        peer = await service.joined()
        await peer.send_many(*(f'42{i}["work"]' for i in range(50)))
        await wait_all_tasks_blocked()
        assert service.server.statistics().received_messages == 51


@pytest.mark.parametrize(
    ("server", "load", "most"),
    [
        (SocketServer(max_waiting_events=10), "", 12),
        (SocketServer(max_held_bytes=10_000), "x" * 2_000, 7),
    ],
    ids=["events", "bytes"],
)
async def test_only_so_much_waits_behind_a_slow_handler(
    clock: MockClock, server: SocketServer, load: str, most: int
) -> None:
    handled = 0

    @server.namespace("/").on("work")
    async def work(socket: Socket, load: str) -> None:
        nonlocal handled
        handled += 1
        await trio.sleep(1)

    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        sent = 0

        async def pour() -> None:
            nonlocal sent
            for _ in range(40):
                await peer.send(f'42["work","{load}"]')
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour)
            await wait_all_tasks_blocked()
            assert handled == 1
            assert sent <= most
        await trio.sleep(60)
        assert handled == 40


async def test_a_client_kept_waiting_by_the_server_is_not_taken_for_dead(
    clock: MockClock,
) -> None:
    server = SocketServer(max_unanswered_events=1, ping_interval=25, ping_timeout=60)
    events = keeping(server)
    async with serving(server) as service, trio.open_nursery() as nursery:
        peer = await service.joined()

        async def pong() -> None:
            while True:
                if await peer.receive() == "2":
                    await peer.send("3")

        await peer.send_many('420["a"]', '421["b"]', '422["c"]')
        nursery.start_soon(pong)
        await trio.sleep(1_000)
        assert service.server.statistics().connections == 1
        for event in events:
            event.reply()
        await wait_all_tasks_blocked()
        assert len(events) == 3
        await trio.sleep(1_000)
        assert service.server.statistics().connections == 1
        nursery.cancel_scope.cancel()


async def test_a_client_that_was_kept_waiting_gets_its_time_to_answer_anew(
    clock: MockClock,
) -> None:
    server = SocketServer(max_unanswered_events=1, ping_interval=25, ping_timeout=60)
    events = keeping(server)
    async with serving(server) as service:
        peer = await service.joined()
        await peer.send_many('420["a"]', '421["b"]', '422["c"]')
        await trio.sleep(84.5)
        for event in events:
            event.reply()
        await trio.sleep(10)
        assert service.server.statistics().connections == 1
        assert await peer.receive_close() == Close(1008, "ping timeout")
        assert trio.current_time() == 145.0


async def test_a_client_that_reads_nothing_is_gone_by_the_heartbeat_at_the_latest(
    clock: MockClock,
) -> None:
    server = SocketServer(ping_interval=25, ping_timeout=60)

    @server.namespace("/").on("more")
    def more(socket: Socket) -> str:
        return "x" * 100_000

    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        sent = 0

        async def pour() -> None:
            nonlocal sent
            for number in range(1_000):
                await peer.send(f'42{number}["more"]')
                sent += 1

        with pytest.raises(trio.BrokenResourceError):
            await pour()
        assert sent < 20
        assert trio.current_time() <= 90.0
        assert service.server.statistics().closes == {"ping timeout": 1}


async def test_a_slow_client_gets_the_latest_state_of_each_row(clock: MockClock) -> None:
    server = SocketServer()
    space = server.namespace("/")
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        await wait_all_tasks_blocked()
        (socket,) = space.sockets
        for revision in range(1_000):
            key = revision % 3
            socket.deliver(encode_event("/", "row", key, revision, key=key))
        statistics = socket.statistics()
        assert statistics.queued == 3
        assert statistics.conflated == server.memory_limit.conflated == 997
        rows = [await peer.receive_event() for _ in range(3)]
        assert [row[2] for row in rows] == [997, 998, 999]


async def test_a_client_that_does_not_keep_up_with_the_server_is_asked_to_come_back(
    clock: MockClock,
) -> None:
    server = SocketServer(outbox=OutboxLimits(outbox_messages=500))
    reasons: list[str] = []
    space = server.namespace("/")
    space.on_disconnect(lambda socket, reason: reasons.append(reason))
    async with serving(server) as service:
        peer = service.dial(lockstep=True)
        await peer.join()
        (socket,) = space.sockets
        for number in range(600):
            socket.emit("tick", number)
        assert socket.closed
        closed = await peer.receive_close()
        assert closed == Close(1013, "too far behind")
        assert reasons == ["transport close"]
        assert server.statistics().overflows == 1


async def test_a_flood_while_a_client_is_being_let_in_is_bounded_too(clock: MockClock) -> None:
    server = SocketServer()

    @server.namespace("/").on_connect
    async def connect(socket: Socket, auth: Any) -> None:
        for number in range(10_000):
            socket.emit("tick", number)
        await trio.sleep(1)  # the bound must not wait for the end of this

    async with serving(server) as service:
        peer = service.dial()
        await peer.open()
        await peer.send("40")
        assert await peer.receive() == Close(1013, "too far behind")
        assert trio.current_time() == 0.0


async def test_a_connection_costs_one_task_at_most_heartbeat_included(clock: MockClock) -> None:
    server = echo_server(ping_interval=25, ping_timeout=60)
    async with serving(server) as service:
        before = trio.lowlevel.current_statistics().tasks_living
        peers: list[Peer] = [await service.joined() for _ in range(20)]
        after = trio.lowlevel.current_statistics().tasks_living
        assert after - before <= len(peers)
