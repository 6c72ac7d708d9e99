"""The outbox against every pattern of partial sends, read back by an independent parser."""

from __future__ import annotations

import errno
import json
from collections.abc import Coroutine, Generator
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock
from wsproto.frame_protocol import FrameProtocol

from gbs_actor.socketio import (
    DivisibleMessage,
    MemoryLimit,
    Message,
    OutboxLimits,
    encode_event,
    encode_raw_event,
)
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.outbox_limits import OutboxStatistics
from gbs_actor.socketio.channel.wire import WEBSOCKET, Buffer, Encode, Wire
from gbs_actor.socketio.encoding import encode_ack
from gbs_actor.socketio.websocket.frame import frame


class Parked:
    """Suspends a hand-driven coroutine once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class ScriptedWire:
    """Takes as many bytes per write as a script says; 0 stands for EAGAIN."""

    separator = b""
    batch = 65_536
    batch_messages = 65_536
    ready = True

    def __init__(self, script: list[int], *, immediate: bool = True) -> None:
        self.encode: Encode = WEBSOCKET
        self.direct = self.immediate = immediate
        self.written = bytearray()
        self.writes = 0
        self.error: OSError | None = None
        self.space: int | None = None
        """Bytes taken from now on, however many writes they come in; instead of a script."""
        self._script = list(script)

    def send_nowait(self, data: Buffer) -> int:
        if not self.immediate:
            raise BlockingIOError
        self.writes += 1
        if self.error is not None:
            raise self.error
        accepted = self._script.pop(0) if self._script else len(data)
        if self.space is not None:
            accepted = min(self.space, len(data))
            self.space -= accepted
        if accepted == 0:
            raise BlockingIOError
        taken = bytes(data[:accepted])
        self.written += taken
        return len(taken)

    async def send_all(self, data: Buffer) -> None:
        for byte in bytes(data):
            if self._script and self._script.pop(0) == 0:
                await Parked()
            self.written.append(byte)

    async def wait_writable(self) -> None:
        await Parked()


class Owner:
    """Drives the writer by hand and notes what the outbox tells its connection."""

    outbox: Outbox
    wire: Wire

    def __init__(self) -> None:
        self.writer: Coroutine[Any, Any, None] | None = None
        self.writers = 0
        self.broken: list[BaseException] = []
        self.overflows = 0
        self.congestions = 0
        self.reliefs = 0

    def start_writer(self) -> None:
        assert self.writer is None, "a second writer beside the first"
        self.writer = self.outbox.write()
        self.writers += 1
        self.step()

    def step(self) -> bool:
        """Run the writer until it waits; return whether it still runs."""
        if self.writer is None:
            return False
        try:
            self.writer.send(None)
        except StopIteration:
            self.writer = None
            return False
        return True

    def run(self) -> None:
        while self.step():
            pass

    def outbox_broken(self, error: BaseException) -> None:
        self.broken.append(error)

    def outbox_overflowed(self) -> None:
        self.overflows += 1

    def outbox_congested(self) -> None:
        self.congestions += 1

    def outbox_drained(self) -> None:
        self.reliefs += 1


def make(
    script: list[int], *, immediate: bool = True, limits: OutboxLimits | None = None
) -> tuple[Outbox, ScriptedWire, Owner]:
    wire = ScriptedWire(script, immediate=immediate)
    owner = Owner()
    owner.wire = wire
    owner.outbox = Outbox(wire, owner, limits or OutboxLimits())
    return owner.outbox, wire, owner


def parse(data: bytes) -> list[Any]:
    """Read a server's byte stream with wsproto: text, pongs as bytes, close codes as int.

    Fails where a frame is malformed; a stream that ends within one lacks a message.
    """
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    messages: list[Any] = []
    text = ""
    for received in protocol.received_frames():
        match received.payload:
            case str(piece):
                text += piece
                if received.message_finished:
                    messages.append(text)
                    text = ""
            case (code, _):
                messages.append(int(code))
            case payload:
                messages.append(payload)
    return messages


def row(key: int, revision: int, size: int = 0) -> Message:
    return encode_event("/", "row", key, revision, "x" * size, key=key)


def divisible(keys: list[int], first: int) -> Message:
    """Rows in consecutive revisions, as one message or one each."""
    rows = [(key, first + at) for at, key in enumerate(keys)]
    text = encode_event("/", "rows", rows).text
    return DivisibleMessage(text, lambda: [row(key, revision) for key, revision in rows])


def reply(revision: int) -> Message:
    return encode_ack("/", revision, ())


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("row"), st.integers(0, 4), st.sampled_from([0, 100, 300, 70_000])),
        st.tuples(st.just("reply")),
        st.tuples(st.just("bundle"), st.lists(st.integers(0, 4), min_size=1, max_size=4)),
        st.tuples(st.just("divisible"), st.lists(st.integers(5, 8), min_size=1, unique=True)),
        st.tuples(st.just("step"), st.integers(1, 3)),
    ),
    max_size=40,
)
SCRIPT = st.lists(
    st.one_of(st.just(0), st.integers(1, 40), st.integers(40, 400), st.just(10**6)), max_size=60
)


@given(actions=ACTIONS, script=SCRIPT, immediate=st.booleans())
async def test_whatever_the_socket_takes_the_stream_is_whole_ascending_and_ends_in_the_latest(
    actions: list[tuple[Any, ...]], script: list[int], immediate: bool
) -> None:
    outbox, wire, owner = make(script, immediate=immediate)
    limit = MemoryLimit(10**9)
    outbox.add_limit(limit)
    revision = 0
    latest: dict[int, int] = {}
    replies: list[int] = []
    for action, *details in actions:
        if action == "row":
            key, size = details
            revision += 1
            latest[key] = revision
            outbox.send(row(key, revision, size))
        elif action == "bundle":
            messages = []
            for key in details[0]:
                revision += 1
                latest[key] = revision
                messages.append(row(key, revision))
            outbox.send(Message.bundle(messages))
        elif action == "divisible":
            (keys,) = details
            outbox.send(divisible(keys, revision + 1))
            for key in keys:
                revision += 1
                latest[key] = revision
        elif action == "reply":
            revision += 1
            replies.append(revision)
            outbox.send(reply(revision))
        else:
            for _ in range(details[0]):
                owner.step()
        held = sum(len(message.websocket) for message in outbox.queued_messages())
        assert limit.bytes == outbox.queued_bytes == held
        unfinished = b"" if outbox._queue.rest is None else outbox._queue.rest
        whole = sum(len(message.websocket) for message in outbox._queue._waiting.values())
        assert outbox.unsent_bytes == outbox.statistics().queued_bytes == whole + len(unfinished)
    owner.run()
    assert limit.bytes == outbox.queued_bytes == 0

    seen_replies: list[int] = []
    seen_rows: dict[int, int] = {}
    order: list[int] = []
    together = 0
    for text in parse(bytes(wire.written)):
        assert isinstance(text, str)
        if text.startswith("43"):
            order.append(int(text[2 : text.index("[")]))
            seen_replies.append(order[-1])
            continue
        name, *rest = json.loads(text[2:])
        for key, at in rest[0] if name == "rows" else [rest[:2]]:
            order.append(at)
            seen_rows[key] = at
        together += len(rest[0]) - 1 if name == "rows" else 0
    assert order == sorted(set(order))
    assert seen_replies == replies
    assert seen_rows == latest
    statistics = outbox.statistics()
    assert statistics.queued == statistics.queued_bytes == 0
    assert statistics.behind_for == 0.0
    assert statistics.sent_bytes == len(wire.written)
    assert statistics.sent_messages + together == len(order)
    assert len(order) + statistics.conflated == revision


def batches() -> st.SearchStrategy[list[list[Message]]]:
    """Messages of several batches, single ones and bundles."""
    keys = st.integers(0, 4)
    numbers = iter(range(10**9))
    rows = st.builds(lambda key, size: row(key, next(numbers), size), keys, st.integers(0, 300))
    replies = st.builds(lambda: reply(next(numbers)))
    bundles = st.lists(rows, min_size=1, max_size=4).map(Message.bundle)
    return st.lists(st.lists(st.one_of(rows, replies, bundles), max_size=6), max_size=8)


@given(sent=batches(), spaces=st.lists(st.integers(0, 2_000), max_size=9))
async def test_what_was_held_back_is_written_as_one_message_at_a_time_would_be(
    sent: list[list[Message]], spaces: list[int]
) -> None:
    def written(*, hold: bool) -> tuple[bytes, OutboxStatistics]:
        (outbox, wire, owner), space = make([]), iter(spaces)
        for batch in sent:
            wire.space = next(space, 10**9)
            owner.step()
            if hold:
                outbox.hold()
            for message in batch:
                outbox.send(message)
            if hold:
                outbox.release()
        wire.space = None
        owner.run()
        return bytes(wire.written), outbox.statistics()

    assert written(hold=True) == written(hold=False)


async def test_what_was_held_back_is_one_write() -> None:
    outbox, wire, _ = make([])
    outbox.hold()
    outbox.send(Message.bundle([row(1, 1), row(2, 1)]))
    outbox.send(reply(1))
    outbox.send(row(1, 2))
    assert wire.writes == 0
    outbox.release()
    assert wire.writes == 1
    assert parse(bytes(wire.written))[2] == "431[]"
    assert outbox.statistics().sent_messages == 4


async def test_when_nothing_was_held_back_nothing_is_written() -> None:
    outbox, wire, _ = make([])
    outbox.hold()
    outbox.release()
    assert wire.writes == 0


async def test_the_last_message_goes_behind_what_was_held_back() -> None:
    outbox, wire, _ = make([])
    outbox.hold()
    outbox.send(reply(1))
    outbox.finish(reply(2))
    outbox.release()
    assert parse(bytes(wire.written)) == ["431[]", "432[]"]


async def test_what_was_held_back_is_dropped_with_the_connection() -> None:
    outbox, wire, _ = make([])
    outbox.hold()
    outbox.send(reply(1))
    outbox.stop()
    outbox.release()
    assert wire.writes == 0


async def test_an_idle_connection_gets_a_message_in_one_write_and_no_task() -> None:
    outbox, wire, owner = make([])
    outbox.send(row(1, 1))
    assert wire.writes == 1
    assert owner.writers == 0


async def test_a_bundle_is_one_write() -> None:
    outbox, wire, _ = make([])
    outbox.send(Message.bundle([row(1, 1), row(2, 1), row(3, 1)]))
    assert wire.writes == 1
    assert len(parse(bytes(wire.written))) == 3


async def test_a_divisible_message_goes_out_whole() -> None:
    outbox, wire, _ = make([])
    outbox.send(divisible([1, 2], 1))
    assert parse(bytes(wire.written)) == ['42["rows",[[1,1],[2,2]]]']
    assert wire.writes == 1


@pytest.mark.parametrize("script", [[0], [9]])
async def test_a_divisible_message_that_waits_alone_or_was_begun_goes_out_whole(
    script: list[int],
) -> None:
    outbox, wire, owner = make(script)
    outbox.send(divisible([1, 2], 1))
    outbox.send(reply(3))
    owner.run()
    assert parse(bytes(wire.written)) == ['42["rows",[[1,1],[2,2]]]', "433[]"]


async def test_of_divisible_messages_that_wait_together_newer_parts_replace_older_ones() -> None:
    outbox, wire, owner = make([9])
    outbox.send(row(7, 1))
    outbox.send(reply(2))
    outbox.send(divisible([1, 2], 3))
    outbox.send(reply(5))
    outbox.send(divisible([3, 1], 6))
    assert outbox.statistics().conflated == 1
    owner.run()
    assert parse(bytes(wire.written)) == [
        '42["row",7,1,""]',
        "432[]",
        '42["row",2,4,""]',
        "435[]",
        '42["row",3,6,""]',
        '42["row",1,7,""]',
    ]


async def test_a_newer_state_replaces_the_waiting_one_and_goes_to_the_end() -> None:
    outbox, wire, owner = make([0])
    outbox.send(row(1, 1))
    outbox.send(reply(2))
    outbox.send(row(1, 3))
    assert outbox.statistics().conflated == 1
    owner.run()
    assert parse(bytes(wire.written)) == ["432[]", '42["row",1,3,""]']


async def test_equal_keys_of_different_namespaces_are_different_slots() -> None:
    outbox, wire, owner = make([0])
    outbox.send(encode_raw_event("/", "row", b"1", key="k"))
    outbox.send(encode_raw_event("/custom", "row", b"2", key="k"))
    owner.run()
    assert len(parse(bytes(wire.written))) == 2


async def test_a_message_that_went_out_in_part_is_finished_not_replaced() -> None:
    outbox, wire, owner = make([3])
    outbox.send(row(1, 1))
    outbox.send(row(1, 2))
    assert outbox.statistics().conflated == 0
    owner.run()
    assert parse(bytes(wire.written)) == ['42["row",1,1,""]', '42["row",1,2,""]']


async def test_the_same_message_may_wait_twice() -> None:
    outbox, wire, owner = make([0])
    message = reply(1)
    outbox.send(message)
    outbox.send(message)
    owner.run()
    assert parse(bytes(wire.written)) == ["431[]", "431[]"]


async def test_more_than_one_batch_keeps_its_order() -> None:
    outbox, wire, owner = make([0, 25_000, 25_000])
    for key in range(6):
        outbox.send(row(key, key, 20_000))
    owner.run()
    assert [json.loads(text[2:])[1] for text in parse(bytes(wire.written))] == list(range(6))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET, errno.EBADF])
async def test_a_broken_socket_is_told_once_and_nothing_more_is_written(number: int) -> None:
    outbox, wire, owner = make([])
    wire.error = OSError(number, "broken")
    outbox.send(row(1, 1))
    outbox.send(row(1, 2))
    assert len(owner.broken) == 1
    assert wire.writes == 1
    assert outbox.flushed.is_set()


async def test_a_socket_that_breaks_while_something_waits_ends_the_writer() -> None:
    outbox, wire, owner = make([0])
    outbox.send(row(1, 1))
    wire.error = ConnectionResetError()
    owner.run()
    assert len(owner.broken) == 1
    assert owner.writer is None


async def test_the_final_frame_goes_behind_what_waits_and_nothing_behind_it() -> None:
    outbox, wire, owner = make([0])
    outbox.send(reply(1))
    outbox.finish(Message.control(frame(b"\x03\xe8", 0x88)))
    outbox.send(reply(2))
    owner.run()
    assert parse(bytes(wire.written)) == ["431[]", 1000]
    assert outbox.flushed.is_set()


async def test_discarding_keeps_the_rest_of_a_message_that_has_begun() -> None:
    outbox, wire, owner = make([3])
    outbox.send(reply(1))
    outbox.send(reply(2))
    outbox.finish(Message.control(frame(b"\x03\xf5", 0x88)), discard=True)
    owner.run()
    assert parse(bytes(wire.written)) == ["431[]", 1013]


async def test_it_is_congested_above_the_pause_limit_and_relieved_at_half_of_it() -> None:
    limits = OutboxLimits(pause_messages=4)
    outbox, _, owner = make([0, 7, 7, 7, 7, 7, 7, 7], limits=limits)
    queued: dict[bool, set[int]] = {True: set(), False: set()}
    for number in range(6):
        outbox.send(reply(number))
        queued[outbox.congested].add(outbox.statistics().queued)
    assert queued == {False: {1, 2, 3, 4}, True: {5, 6}}
    while owner.step():
        queued[outbox.congested].add(outbox.statistics().queued)
    assert min(queued[True]) == 3
    assert (owner.congestions, owner.reliefs) == (1, 1)


async def test_keyed_messages_do_not_congest() -> None:
    outbox, _, owner = make([0], limits=OutboxLimits(pause_messages=4))
    for key in range(100):
        outbox.send(row(key, key))
    assert not outbox.congested
    owner.run()


async def test_bytes_congest_as_well_as_messages() -> None:
    outbox, _, owner = make([0], limits=OutboxLimits(pause_bytes=1_000))
    outbox.send(encode_event("/", "large", "x" * 1_001))
    assert outbox.congested
    owner.run()


@pytest.mark.parametrize(
    "limits",
    [
        OutboxLimits(pause_messages=5, outbox_messages=20),
        OutboxLimits(pause_bytes=50, outbox_bytes=200),
    ],
)
async def test_more_unkeyed_messages_than_allowed_overflow(limits: OutboxLimits) -> None:
    outbox, _, owner = make([0], limits=limits)
    for number in range(60):
        outbox.send(reply(number))
    assert owner.overflows > 0
    owner.run()


async def test_one_message_alone_may_be_larger_than_the_limit() -> None:
    outbox, _, owner = make([0], limits=OutboxLimits(pause_bytes=50, outbox_bytes=200))
    outbox.send(encode_event("/", "large", "x" * 1_001))
    assert owner.overflows == 0
    owner.run()


async def test_bytes_of_keyed_messages_count_against_the_limit_too() -> None:
    outbox, _, owner = make([0], limits=OutboxLimits(outbox_bytes=1_000))
    for key in range(3):
        outbox.send(row(key, key, 400))
    assert owner.overflows == 1
    owner.run()


async def test_the_rest_of_a_large_message_congests_until_half_of_it_is_sent() -> None:
    outbox, _, owner = make([100, 500, 500], limits=OutboxLimits(pause_bytes=1_000))
    outbox.send(encode_event("/", "large", "x" * 1_400))
    congested = [outbox.congested]
    for _ in range(2):
        owner.step()
        congested.append(outbox.congested)
    assert congested == [True, True, False]
    assert owner.reliefs == 1
    owner.run()


@pytest.mark.parametrize("immediate", [True, False])
async def test_what_is_dropped_counts_no_longer(immediate: bool) -> None:
    outbox, _, _ = make([3, 0, 0, 0], immediate=immediate)
    limit = MemoryLimit(1_000)
    outbox.add_limit(limit)
    for number in range(5):
        outbox.send(reply(number))
    assert limit.bytes > 0
    outbox.stop()
    outbox.remove_limit(limit)
    assert (limit.bytes, len(limit)) == (0, 0)


async def test_a_limit_can_be_added_and_removed_while_messages_are_queued() -> None:
    outbox, _, owner = make([3, 0])
    outbox.send(reply(1))
    outbox.send(reply(2))
    limit = MemoryLimit(1_000)
    outbox.add_limit(limit)
    assert limit.bytes == outbox.queued_bytes == 2 * len(reply(1).websocket)
    outbox.remove_limit(limit)
    outbox.remove_limit(limit)
    assert (limit.bytes, len(limit)) == (0, 0)
    owner.run()


async def test_unbounded_keys_overflow_too() -> None:
    outbox, _, owner = make([0], limits=OutboxLimits(max_keys=10))
    for key in range(11):
        outbox.send(row(key, key))
    assert owner.overflows == 1
    owner.run()


async def test_it_tells_for_how_long_something_has_been_waiting(clock: MockClock) -> None:
    outbox, _, owner = make([0])
    assert outbox.statistics().behind_for == 0.0
    outbox.send(reply(1))
    await trio.sleep(3)
    outbox.send(reply(2))
    await trio.sleep(1)
    assert outbox.statistics().behind_for == 4.0
    owner.run()
    assert outbox.statistics().behind_for == 0.0


async def test_of_the_pongs_that_wait_only_the_last_is_sent() -> None:
    outbox, wire, owner = make([0])
    for number in range(1_000):
        outbox.send(Message.control(frame(b"%d" % number, 0x8A)))
    assert outbox.statistics().queued == 1
    owner.run()
    assert parse(bytes(wire.written)) == [b"999"]


async def test_a_ping_that_waits_is_sent_once_and_takes_no_pongs_place() -> None:
    outbox, wire, owner = make([0])
    outbox.send(Message.ping())
    outbox.send(Message.control(frame(b"pong", 0x8A)))
    outbox.send(Message.ping())
    owner.run()
    assert parse(bytes(wire.written)) == [b"pong", b""]


_steps = st.lists(
    st.sampled_from(["send", "send", "send", "step", "hold", "release", "finish", "break"]),
    max_size=20,
)


@given(
    script=st.lists(st.sampled_from([0, 1, 5, 1_000, 1_000]), max_size=12),
    steps=_steps,
    direct=st.sampled_from([True, True, True, False]),
    size=st.sampled_from([0, 3, 125, 126, 400]),
)
async def test_a_text_for_one_peer_goes_out_as_a_message_with_it_would(
    script: list[int], steps: list[str], direct: bool, size: int
) -> None:
    limits = OutboxLimits(pause_messages=3, outbox_messages=6)
    as_text, as_message = (make(script, immediate=direct, limits=limits) for _ in range(2))
    for number, step in enumerate(steps):
        for outbox, wire, owner in (as_text, as_message):
            text = f"{number}{'x' * size}".encode()
            match step:
                case "send" if outbox is as_text[0]:
                    outbox.send_text(text)
                case "send":
                    outbox.send(Message(text))
                case "step":
                    owner.step()
                case "hold" if not outbox_holds(outbox):
                    outbox.hold()
                case "release":
                    outbox.release()
                case "finish":
                    outbox.finish(None)
                case "break":
                    wire.error = OSError(errno.ECONNRESET, "reset")
        assert seen(*as_text) == seen(*as_message)


def outbox_holds(outbox: Outbox) -> bool:
    return outbox._held is not None


def seen(outbox: Outbox, wire: ScriptedWire, owner: Owner) -> tuple[object, ...]:
    return (
        bytes(wire.written),
        outbox.statistics().queued,
        outbox.statistics().queued_bytes,
        outbox.sent_messages,
        outbox.sent_bytes,
        outbox.congested,
        owner.overflows,
        [type(error) for error in owner.broken],
    )
