"""The plane over simulated sockets: order, fairness, and descriptors."""

from __future__ import annotations

import time
from contextvars import ContextVar
from errno import EIO, ENOMEM, ENOSPC

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio.channel import plane as plane_module
from gbs_actor.socketio.channel.plane import _BATCH, _STEP, PlaneConnection
from tests.freeing import freed
from tests.socketio.channel.simulated_plane import OUT, SimulatedSocket, Talk, simulation
from tests.socketio.frames import CLOSE, TEXT, frame


def echo(talk: Talk, text: str) -> None:
    talk.say(text)


def said(socket: SimulatedSocket) -> list[str]:
    """Return the short messages that were sent."""
    data, texts = bytes(socket.sent), []
    while data:
        size = data[1]
        if data[0] == 0x81:
            texts.append(data[2 : 2 + size].decode())
        data = data[2 + size :]
    return texts


def is_closed(socket: SimulatedSocket) -> bool:
    return socket.closed


async def test_a_message_is_read_and_its_reply_is_written_without_a_task(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, _ = simulated.connect(echo)
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        socket.say("hello", "again")
        await wait_all_tasks_blocked()
        assert said(socket) == ["hello", "again"]
        assert trio.lowlevel.current_statistics().tasks_living == before
        assert simulated.poller.registrations == 1


async def test_what_came_with_the_handshake_is_read_although_nothing_is_reported(
    clock: MockClock,
) -> None:
    async with simulation() as simulated:
        socket, _ = simulated.connect(echo, leftover=frame(TEXT, b"left") + frame(TEXT, b"over"))
        await wait_all_tasks_blocked()
        assert said(socket) == ["left", "over"]
        assert not socket.received
        socket.say("later")
        await wait_all_tasks_blocked()
        assert said(socket) == ["left", "over", "later"]


# Descriptors


async def test_a_descriptor_is_closed_behind_the_batch_that_may_hold_its_events(
    clock: MockClock,
) -> None:
    async with simulation() as simulated:
        victims: list[tuple[SimulatedSocket, Talk]] = []
        closed: list[bool] = []

        def kill(talk: Talk, text: str) -> None:
            if text == "kill":
                victims[0][1].abort()
            closed.append(victims[0][0].closed)

        killer, _ = simulated.connect(kill)
        victims.append(simulated.connect())
        witness, _ = simulated.connect(kill)
        await wait_all_tasks_blocked()
        for socket in (killer, victims[0][0], witness):
            socket.incoming.append(frame(TEXT, b"kill" if socket is killer else b"look"))
        simulated.poller.look()
        await wait_all_tasks_blocked()
        assert closed == [False, False]
        assert victims[0][0].closed
        assert not victims[0][0].received


async def test_a_checkpoint_within_a_batch_closes_nothing(
    clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "_STEP", 0.0)  # a checkpoint behind every visit
    async with simulation() as simulated:
        others = [simulated.connect() for _ in range(3)]
        await wait_all_tasks_blocked()
        for socket, _ in others:
            socket.incoming.append(frame(TEXT, b"x"))
        simulated.poller.look()
        await trio.lowlevel.checkpoint()
        while not others[0][1].messages:
            await trio.lowlevel.checkpoint()
        assert not others[2][1].messages
        others[2][1].abort()
        assert not is_closed(others[2][0])
        await wait_all_tasks_blocked()
        assert is_closed(others[2][0])
        assert not others[2][1].messages


async def test_a_connection_that_ends_outside_of_a_batch_is_closed_at_once(
    clock: MockClock,
) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect()
        await wait_all_tasks_blocked()
        talk.abort()
        assert socket.closed


async def test_a_paused_connection_is_unregistered_so_that_its_reset_does_not_spin(
    clock: MockClock,
) -> None:
    async with simulation() as simulated:

        def fill(talk: Talk, text: str) -> None:
            talk.backlogged = True

        socket, talk = simulated.connect(fill)
        await wait_all_tasks_blocked()
        socket.say("1", "2")
        await wait_all_tasks_blocked()
        assert talk.messages == ["1"]
        socket.arrive(ConnectionResetError())
        polls = simulated.poller.polls
        await wait_all_tasks_blocked()
        assert simulated.poller.polls == polls
        assert socket.fd not in simulated.poller.masks
        talk.backlogged = False
        talk.resume_reading()
        await wait_all_tasks_blocked()
        assert talk.messages == ["1", "2"]
        talk.backlogged = False
        talk.resume_reading()
        await wait_all_tasks_blocked()
        assert talk.reason == "transport error"
        assert socket.closed


async def test_a_paused_connection_is_not_read_until_it_may_be(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect()
        talk.backlogged = True
        socket.say("1")
        await wait_all_tasks_blocked()
        received = socket.received
        socket.say("2")
        await wait_all_tasks_blocked()
        assert socket.received == received <= 1
        talk.backlogged = False
        talk.resume_reading()
        await wait_all_tasks_blocked()
        assert talk.messages == ["1", "2"]


async def test_a_paused_connection_that_writes_is_not_read_at_its_reset(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect(room=0)
        talk.backlogged = True
        talk.say("queued")
        socket.say("1")
        await wait_all_tasks_blocked()
        received = socket.received
        assert simulated.poller.masks[socket.fd] == OUT
        socket.arrive(ConnectionResetError())
        await wait_all_tasks_blocked()
        assert talk.reason == "transport error"
        assert (talk.messages, socket.received) == ([], received)
        assert not caplog.text


async def test_what_came_before_an_end_is_read(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect()
        socket.say(*map(str, range(2_000)))
        socket.end()
        await wait_all_tasks_blocked()
        assert talk.messages == [*map(str, range(2_000))]
        assert talk.reason == "transport close"
        assert socket.closed


async def test_what_came_before_a_reset_is_read(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect()
        socket.arrive(frame(TEXT, b"last"), ConnectionResetError())
        await wait_all_tasks_blocked()
        assert (talk.messages, talk.reason) == (["last"], "transport error")


# Writing


async def test_what_the_socket_does_not_take_is_written_when_it_does(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, _ = simulated.connect(echo, room=5)
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        socket.say("one", "two", "three")
        await wait_all_tasks_blocked()
        assert bytes(socket.sent) == b"\x81\x03one"
        assert simulated.poller.masks[socket.fd] & OUT
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        socket.take(3)
        await wait_all_tasks_blocked()
        assert bytes(socket.sent) == b"\x81\x03one\x81\x03t"
        socket.take(100)
        await wait_all_tasks_blocked()
        assert said(socket) == ["one", "two", "three"]
        assert not simulated.poller.masks[socket.fd] & OUT


async def test_a_close_frame_is_written_behind_what_is_queued(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect(room=4)
        await wait_all_tasks_blocked()
        talk.say("queued")
        talk.leave()
        await wait_all_tasks_blocked()
        socket.take(100)
        await wait_all_tasks_blocked()
        assert bytes(socket.sent) == b"\x81\x06queued\x88\x02\x03\xe8"


# Fairness


def spin(seconds: float) -> None:
    """Compute for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_all_of_a_batch_are_visited_before_one_is_visited_again() -> None:
    async with simulation() as simulated:
        visits: list[int] = []

        def work(talk: Talk, text: str) -> None:
            visits.append(int(text))
            spin(_STEP)

        sockets = [simulated.connect(work)[0] for _ in range(20)]
        await wait_all_tasks_blocked()
        for _ in range(3):
            for number, socket in enumerate(sockets):
                message = frame(TEXT, str(number).encode())
                socket.incoming.append(message + bytes(0))
        simulated.poller.look()
        while len(visits) < 60:
            await trio.lowlevel.checkpoint()
        assert visits == [*range(20)] * 3


async def test_more_sockets_than_a_batch_holds_get_their_turns(clock: MockClock) -> None:
    async with simulation() as simulated:
        pairs = [simulated.connect(echo) for _ in range(2 * _BATCH + 1)]
        for socket, _ in pairs:
            socket.say("x")
        await wait_all_tasks_blocked()
        assert all(said(socket) == ["x"] for socket, _ in pairs)


async def test_other_tasks_run_while_many_connections_are_busy() -> None:
    async with simulation() as simulated:
        pairs = [simulated.connect(lambda talk, text: spin(_STEP)) for _ in range(10)]
        await wait_all_tasks_blocked()
        for socket, _ in pairs:
            socket.say("x")
        runs = 0
        while not all(talk.messages for _, talk in pairs):
            await trio.lowlevel.checkpoint()
            runs += 1
        assert runs >= 10
        assert simulated.plane.statistics().longest_step < 20 * _STEP


async def test_a_flood_does_not_keep_others_waiting(clock: MockClock) -> None:
    async with simulation() as simulated:
        flooding = 0

        def count(talk: Talk, text: str) -> None:
            nonlocal flooding
            flooding += 1

        floods = [simulated.connect(count)[0] for _ in range(5)]
        for flood in floods:
            flood.say(*["flood"] * 20_000)
        while not flooding:
            await trio.lowlevel.checkpoint()
        before = 0
        waits: list[int] = []

        def answer(talk: Talk, text: str) -> None:
            waits.append(flooding - before)

        quiet, _ = simulated.connect(answer)
        for number in range(20):
            before = flooding
            quiet.say("hello")
            while len(waits) == number:
                await trio.lowlevel.checkpoint()
        # The rest of a batch and another one, and as much by the other of the two tasks.
        assert max(waits) <= 5 * len(floods) * 64
        assert flooding < 100_000


async def test_no_more_than_a_few_kilobytes_are_read_at_a_visit(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect()
        socket.say("x" * 100_000)
        await wait_all_tasks_blocked()
        assert talk.messages == ["x" * 100_000]
        assert socket.received >= 100_000 // 4_096


async def test_frames_that_come_too_fast_are_read_later(clock: MockClock) -> None:
    last = trio.Event()

    def note(talk: Talk, text: str) -> None:
        if text == "last":
            last.set()

    async with simulation() as simulated:
        socket, talk = simulated.connect(note, rate=10, burst=5)
        socket.say(*["x"] * 26)
        socket.say("last")
        while not talk.messages:
            await trio.lowlevel.checkpoint()
        assert len(talk.messages) == 26
        assert socket.fd not in simulated.poller.masks
        await last.wait()
        assert trio.current_time() == pytest.approx(2.1)


# Containment


async def test_a_failure_ends_its_own_connection_only(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(talk: Talk, text: str) -> None:
        raise RuntimeError("a bug")

    async with simulation() as simulated:
        socket, talk = simulated.connect(fail)
        other, _ = simulated.connect(echo)
        socket.say("x")
        other.say("y")
        await wait_all_tasks_blocked()
        assert socket.closed
        assert talk.reason == "transport error"
        assert said(other) == ["y"]
    assert "a connection failed" in caplog.text


async def test_a_task_that_fails_ends_its_own_connection_only(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    async with simulation() as simulated:
        socket, talk = simulated.connect(lambda talk, text: talk.tasks.start_soon(fail))
        other, _ = simulated.connect(echo)
        socket.say("x")
        await wait_all_tasks_blocked()
        other.say("y")
        await wait_all_tasks_blocked()
        assert socket.closed
        assert talk.reason == "transport error"
        assert said(other) == ["y"]
    assert "a task of a connection failed" in caplog.text


@pytest.mark.parametrize("paused", [False, True])
async def test_a_sender_does_not_see_that_the_poller_reports_nothing_more(
    clock: MockClock, paused: bool
) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect(room=0)
        await wait_all_tasks_blocked()
        if paused:
            talk.backlogged = True
            socket.say("x")
            await wait_all_tasks_blocked()
        simulated.poller.error = OSError(ENOSPC, "no space left")
        talk.say("queued")
        simulated.poller.error = None
        assert talk.reason == "transport error"
        assert talk.outbox.queued_bytes == 0
        await wait_all_tasks_blocked()
        assert socket.closed


async def test_a_connection_whose_events_cannot_be_changed_ends_alone(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect(room=0)
        other, _ = simulated.connect(echo)
        talk.say("queued")
        await wait_all_tasks_blocked()
        simulated.poller.error = OSError(ENOMEM, "out of memory")
        socket.error_of_close = OSError(EIO, "input/output error")
        socket.take(100)
        await wait_all_tasks_blocked()
        simulated.poller.error = None
        assert talk.reason == "transport error"
        assert socket.closed
        other.say("y")
        await wait_all_tasks_blocked()
        assert said(other) == ["y"]
    assert "a connection failed" in caplog.text


@pytest.mark.parametrize("how", ["poll", "queue"])
async def test_a_connection_that_has_ended_is_freed_while_nothing_happens(
    clock: MockClock, how: str
) -> None:
    async with simulation() as simulated:
        leftover = frame(TEXT, b"x") if how == "queue" else b""
        with freed(PlaneConnection):
            socket, talk = simulated.connect(lambda talk, text: talk.abort(), leftover=leftover)
            socket.say("x")
            await wait_all_tasks_blocked()
            assert talk.messages
            talk.transport.release()
            del talk
            await wait_all_tasks_blocked()


_whose: ContextVar[str] = ContextVar("whose", default="nobody's")


async def test_each_connection_has_a_context_of_its_own(clock: MockClock) -> None:
    async with simulation() as simulated:
        seen: list[tuple[str, str]] = []

        async def look(text: str) -> None:
            seen.append((text, _whose.get()))

        def note(talk: Talk, text: str) -> None:
            if text.startswith("set "):
                _whose.set(text.removeprefix("set "))
            talk.tasks.start_soon(look, text)

        first, _ = simulated.connect(note)
        second, _ = simulated.connect(note)
        first.say("set mine")
        second.say("a")
        await wait_all_tasks_blocked()
        first.say("b")
        await wait_all_tasks_blocked()
        assert sorted(seen) == [("a", "nobody's"), ("b", "mine"), ("set mine", "mine")]


async def test_a_closing_handshake_is_finished(clock: MockClock) -> None:
    async with simulation() as simulated:
        socket, talk = simulated.connect()
        await wait_all_tasks_blocked()
        talk.leave()
        finished = trio.Event()

        async def finish() -> None:
            await talk.transport.finish(talk)
            finished.set()

        talk.tasks.start_soon(finish)
        socket.say("dropped")
        await wait_all_tasks_blocked()
        assert not finished.is_set()
        socket.arrive(frame(CLOSE, b"\x03\xe8"))
        await wait_all_tasks_blocked()
        assert finished.is_set()
        assert talk.messages == []
        assert not socket.closed
        talk.transport.release()
        assert socket.closed
