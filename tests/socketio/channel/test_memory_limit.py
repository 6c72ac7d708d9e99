"""Bytes that are queued on many connections, and whose are given up."""

from __future__ import annotations

import gc

from gbs_actor.socketio import MemoryLimit, Message

KILOBYTES = 1_000


class Box:
    """An outbox whose client reads nothing."""

    def __init__(self, limit: MemoryLimit, since: float = 0.0) -> None:
        self.limit = limit
        self.behind_since: float | None = since
        self.messages: list[Message] = []
        self.closed = False
        limit.add(self)

    @property
    def queued_bytes(self) -> int:
        return sum(len(message.text) for message in self.messages)

    def queued_messages(self) -> list[Message]:
        return self.messages

    def queue(self, *messages: Message) -> None:
        for message in messages:
            self.messages.append(message)
            self.limit.hold(message, len(message.text))
        self.limit.enforce()

    def overflow(self) -> None:
        self.closed = True
        self.behind_since = None
        for message in self.messages:
            self.limit.release(message)
        self.messages = []


def large(kilobytes: int) -> Message:
    return Message(b"x" * KILOBYTES * kilobytes)


def test_a_message_that_many_are_sent_counts_once() -> None:
    limit = MemoryLimit(1_000 * KILOBYTES)
    boxes = [Box(limit) for _ in range(1_000)]
    message = large(600)
    for box in boxes:
        box.queue(message)
    assert limit.bytes == 600 * KILOBYTES
    assert not any(box.closed for box in boxes)
    for box in boxes:
        box.overflow()
    assert limit.bytes == 0


def test_those_that_take_most_are_closed_until_a_quarter_is_free() -> None:
    limit = MemoryLimit(1_000 * KILOBYTES)
    greedy = [Box(limit) for _ in range(4)]
    for box in greedy:
        box.queue(large(240))
    fresh = Box(limit, since=5.0)
    fresh.queue(large(50))
    assert not fresh.closed
    assert [box.closed for box in greedy].count(True) == 2
    assert limit.bytes <= 750 * KILOBYTES
    assert limit.closed == 2


def test_of_those_that_take_as_much_the_ones_that_are_behind_longest_are_closed() -> None:
    limit = MemoryLimit(1_000 * KILOBYTES)
    boxes = [Box(limit, since=since) for since in (3.0, 1.0, 2.0)]
    for box in boxes:
        box.queue(large(300))
    Box(limit, since=4.0).queue(large(310))
    assert [box.closed for box in boxes] == [False, True, True]


def test_what_is_shared_counts_little_against_each() -> None:
    limit = MemoryLimit(1_000 * KILOBYTES)
    shared = large(600)
    honest = [Box(limit) for _ in range(10)]
    for box in honest:
        box.queue(shared)
    greedy = Box(limit, since=9.0)
    greedy.queue(large(410))
    assert greedy.closed
    assert not any(box.closed for box in honest)


def test_it_ends_where_nothing_can_be_freed() -> None:
    class Stubborn(Box):
        def overflow(self) -> None:
            self.closed = True

    limit = MemoryLimit(1_000)
    stubborn = Stubborn(limit)
    stubborn.queue(large(2))
    assert stubborn.closed
    assert limit.bytes == 2 * KILOBYTES


def test_there_may_be_more_to_close_than_are_looked_at_closely() -> None:
    limit = MemoryLimit(1_000 * KILOBYTES)
    shared = large(700)
    for _ in range(100):
        Box(limit).queue(shared)
    Box(limit).queue(large(100), large(100), large(101))
    Box(limit).queue(large(301))
    assert limit.bytes <= 750 * KILOBYTES


def test_those_that_share_more_than_one_takes_stay_however_many_they_are() -> None:
    limit = MemoryLimit(1_000 * KILOBYTES)
    shared = large(500)
    honest = [Box(limit) for _ in range(200)]
    for box in honest:
        box.queue(shared)
    greedy = [Box(limit, since=9.0) for _ in range(3)]
    for box in greedy:
        box.queue(large(200))
    assert any(box.closed for box in greedy)
    assert not any(box.closed for box in honest)
    assert limit.bytes <= 750 * KILOBYTES


def test_the_close_frames_it_causes_do_not_close_others_in_turn() -> None:
    class Closing(Box):
        def overflow(self) -> None:
            if not self.closed:
                super().overflow()
                self.queue(Message(b"closed"))

    limit = MemoryLimit(1_000)
    shared = Message(b"x" * 900)
    boxes = [Closing(limit) for _ in range(1_000)]
    for box in boxes:
        box.queue(shared)
    boxes[-1].queue(Message(b"x" * 101))
    assert boxes[-1].closed
    assert limit.closed == sum(box.closed for box in boxes)


def test_what_is_queued_on_many_connections_is_no_work_for_the_garbage_collector() -> None:
    """Else a change of many rows, where nobody reads, stops the event loop for 20 ms."""
    limits = [MemoryLimit(1_000 * KILOBYTES) for _ in range(50)]
    boxes = [Box(limit) for limit in limits]
    parts = [Message(b"x") for _ in range(1_000)]
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for box in boxes:
            box.queue(*parts)
        assert len(gc.get_objects()) - before < len(parts)
    finally:
        gc.enable()
