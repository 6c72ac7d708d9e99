"""What one connection gets of a batch goes out together, in the bytes of one message at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.environment import SYSTEM
from gbs_actor.gateway.namespace.peer import SocketIOFormat
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import Action, AssignNumber, Author, Command, CreateMemo
from gbs_actor.rooms import (
    Accepted,
    RoomSettings,
    RoomSupervisor,
    SinkStatistics,
    Snapshot,
    Subscriber,
    subscriptions,
)
from gbs_actor.socketio import Message, Outbox, OutboxLimits
from gbs_actor.socketio.channel.wire import WEBSOCKET, Buffer, StreamWire
from gbs_actor.socketio.encoding import encode_raw_ack

from .retreats import memory_store

FORMAT = SocketIOFormat("/room")
USERS = 4


class Written(StreamWire):
    """Takes everything at once."""

    direct = immediate = True

    def __init__(self) -> None:
        self.encode = WEBSOCKET
        self.writes: list[bytes] = []

    def send_nowait(self, data: Buffer) -> int:
        self.writes.append(bytes(data))
        return len(data)


class NeverBehind:
    """The connection of an outbox whose wire takes everything."""

    def start_writer(self, *writer: object) -> None:
        raise AssertionError

    def outbox_broken(self, error: BaseException) -> None:
        raise AssertionError

    def outbox_overflowed(self) -> None:
        raise AssertionError

    def outbox_congested(self) -> None:
        raise AssertionError

    def outbox_drained(self) -> None:
        raise AssertionError


class Connection:
    """A connection with a real outbox, which may hold back or send one message at a time."""

    def __init__(self, number: int, *, hold: bool) -> None:
        self.format = FORMAT
        self.wire = Written()
        self._outbox = Outbox(self.wire, NeverBehind(), OutboxLimits())
        self._hold = hold
        author = Author(user_id=number, name=f"user {number}", admin_user_id=number)
        self.subscriber = Subscriber(self, author, wants_presence=False)
        self._acks = 0

    def deliver(self, message: Message) -> None:
        self._outbox.send(message)

    def hold(self) -> None:
        if self._hold:
            self._outbox.hold()

    def release(self) -> None:
        if self._hold:
            self._outbox.release()

    def close_restarting(self) -> None:
        raise AssertionError("no operator stops this room")

    def abort(self) -> None:
        raise AssertionError

    def statistics(self) -> SinkStatistics:
        return SinkStatistics(0, 0, 0, 0.0)

    async def join(self, rooms: RoomSupervisor, since: int | None = None) -> None:
        """Join the room by an event whose reply is an acknowledgement."""

        def reply(outcome: Snapshot | Rejection) -> None:
            assert isinstance(outcome, Snapshot)
            self._outbox.send(encode_raw_ack("/room", 0, outcome.rows))

        epoch = None if since is None else rooms.statistics().rooms[0].epoch
        await rooms.join("winter", self.subscriber, since=since, epoch=epoch, reply=reply)

    def give(self, rooms: RoomSupervisor, action: Action, number: int) -> None:
        """Submit a command whose reply is an acknowledgement."""
        self._acks += 1
        ack_id, author = self._acks, self.subscriber.author
        command = Command(action=action, author=author, id=UUID(int=number), client_made_id=True)

        def reply(outcome: Accepted | Rejection) -> None:
            if isinstance(outcome, Accepted):
                value = b'{"revision":%d}' % outcome.revision
            else:
                value = msgspec.json.encode(outcome.code)
            self._outbox.send(encode_raw_ack("/room", ack_id, value))

        rooms.submit(self.subscriber, command, reply)


ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, st.integers(1, 9), st.sampled_from([None, 1, 2, 3])),
    st.builds(CreateMemo, st.integers(1, 9), st.sampled_from(["a", "b"]), st.just("")),
)
BATCH = st.lists(st.tuples(st.integers(0, USERS - 2), ACTIONS), min_size=1, max_size=8)
"""Commands, and who gives them; the last user only looks on."""


_NEW_YEAR = replace(SYSTEM, wall=datetime(2024, 1, 1, tzinfo=UTC).timestamp)


async def _writes(
    batches: list[list[tuple[int, Action]]], *, hold: bool, deliveries_per_yield: int = 256
) -> list[list[list[bytes]]]:
    """Return what is written to each connection, batch by batch."""
    config = RoomSettings(deliveries_per_yield=deliveries_per_yield)
    store = await memory_store()
    written = []
    rooms = RoomSupervisor(store, config, environment=_NEW_YEAR)
    async with rooms.running():
        connections = [Connection(number, hold=hold) for number in range(USERS)]
        for each in connections:
            await rooms.join("winter", each.subscriber, reply=lambda _: None)
        number = 0
        for batch in batches:
            for each in connections:
                each.wire.writes.clear()
            for author, action in batch:
                number += 1
                connections[author].give(rooms, action, number)
            for each in connections:
                await each.subscriber.wait_replied()
            await trio.testing.wait_all_tasks_blocked()
            written.append([list(each.wire.writes) for each in connections])
    return written


@given(batches=st.lists(BATCH, min_size=1, max_size=3), limit=st.sampled_from([1, 4, 256]))
async def test_what_is_written_together_is_what_one_message_at_a_time_is(
    batches: list[list[tuple[int, Action]]], limit: int
) -> None:
    together = await _writes(batches, hold=True, deliveries_per_yield=limit)
    one_by_one = await _writes(batches, hold=False)
    for held, single in zip(together, one_by_one, strict=True):
        for ours, theirs in zip(held, single, strict=True):
            assert b"".join(ours) == b"".join(theirs)


async def test_rows_and_own_replies_of_a_batch_are_one_write_to_a_connection() -> None:
    batch: list[tuple[int, Action]] = [
        (0, AssignNumber(7, 1)),
        (1, AssignNumber(8, 2)),
        (0, AssignNumber(7, 3)),
        (1, CreateMemo(7, "a", "")),
    ]
    [written] = await _writes([batch], hold=True)
    assert [len(writes) for writes in written] == [1, 1, 1, 1]


async def test_what_is_too_much_for_one_step_is_several_writes() -> None:
    batch: list[tuple[int, Action]] = [(0, CreateMemo(number, "a", "")) for number in range(1, 9)]
    [written] = await _writes([batch], hold=True, deliveries_per_yield=4)
    # Two rows and their two replies at a time.
    assert [writes.count(b"lineup-updated") for writes in map(b"".join, written)] == [8] * USERS
    assert [len(writes) for writes in written] == [4, 1, 1, 1]


async def _joined(*, hold: bool) -> list[list[bytes]]:
    """Return what is written to each connection that joins with nothing, and since a revision."""
    store = await memory_store()
    rooms = RoomSupervisor(store, environment=_NEW_YEAR)
    async with rooms.running():
        first, second, third = (Connection(number, hold=hold) for number in range(3))
        await first.join(rooms)
        first.give(rooms, AssignNumber(7, 1), 1)
        await first.subscriber.wait_replied()
        await second.join(rooms)
        await third.join(rooms, since=1)
        return [each.wire.writes for each in (second, third)]


async def test_the_answer_to_a_join_and_what_is_sent_behind_it_are_one_write() -> None:
    together, one_by_one = await _joined(hold=True), await _joined(hold=False)
    assert [len(writes) for writes in together] == [1, 1]
    assert [len(writes) for writes in one_by_one] == [3, 2]  # the list, rows of late, presence
    assert [b"".join(writes) for writes in together] == [b"".join(w) for w in one_by_one]


async def test_a_long_list_is_sent_as_the_bytes_that_all_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriptions, "_TOGETHER", 100)
    assert await _joined(hold=True) == await _joined(hold=False)
