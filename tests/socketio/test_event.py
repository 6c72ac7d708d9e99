"""What an event costs while it is held, and what it counts as."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gbs_actor.socketio import Backlog, Channel, InvalidArguments, KeptEvent, Message, ServerOptions
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.packet import decode_event


class Idle(Channel):
    """A channel that is never carried; what it would send is an error."""

    def __init__(self) -> None:
        self.tasks = cast(ChannelTasks, None)
        self.outbox = cast(Outbox, SimpleNamespace(congested=False))
        self.received_at = 0.0
        self.reading_stopped = False

    def open(self) -> None:
        raise AssertionError

    def receive_text(self, text: str) -> None:
        raise AssertionError

    def receive_binary(self, payload: bytes) -> None:
        raise AssertionError

    def ended(self, reason: str) -> None:
        raise AssertionError

    async def run_disconnect_handlers(self) -> None:
        raise AssertionError

    def resume_reading(self) -> None:
        pass


class Socket:
    """Records the acknowledgements."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_ack(self, message: Message) -> None:
        self.sent.append(message.text)

    def send_ack_text(self, text: bytes) -> None:
        self.sent.append(text)


def backlog(**options: Any) -> Backlog:
    return Backlog(Idle(), ServerOptions(**options))


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1_000, 100_000])
def test_what_it_counts_as_is_what_it_costs(count: int) -> None:
    text = '["name"' + ',"한글"' * count + "]"
    socket, counted = Socket(), backlog()
    tracemalloc.start()
    try:
        event = Event(socket, counted, "/", decode_event(text))
        del text
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 1.5 * event.size + 1_000
    assert event.size <= 20 * count + 1_000
    assert event.first == ('"한글"'.encode() if count else None)
    assert event.arguments() == ["한글"] * count


def test_an_event_counts_until_its_handler_has_ended() -> None:
    counted = backlog(max_held_bytes=1_000)
    event = Event(Socket(), counted, "/", decode_event(f'["name","{"x" * 2_000}"]'))
    full: list[bool] = []
    counted.submit_event(event, lambda *_: full.append(counted.full), None)
    assert (full, counted.full) == ([True], False)


def test_a_kept_event_counts_until_it_is_closed_and_has_its_arguments() -> None:
    counted = backlog(max_held_bytes=1_000)
    event = Event(Socket(), counted, "/", decode_event(f'["name","{"x" * 2_000}"]'))
    kept: list[KeptEvent] = []
    counted.submit_event(event, lambda *_: kept.append(event.keep()), None)
    assert counted.full
    assert event.arguments() == ["x" * 2_000]
    kept[0].close()
    kept[0].close()
    assert not counted.full


def test_of_an_event_whose_handler_has_ended_only_the_name_is_left() -> None:
    counted = backlog()
    data = decode_event('["name",{"_placeholder":true,"num":0}]')
    event = Event(Socket(), counted, "/", data, ack_id=7, attachments=(b"x",))
    counted.submit_event(event, lambda *_: None, None)
    assert (event.name, event.first, event.attachments) == ("name", None, ())
    with pytest.raises(InvalidArguments, match="handler has ended"):
        event.arguments()
    with pytest.raises(RuntimeError):
        event.keep()


def test_an_event_counts_as_unacknowledged_until_the_reply_which_may_come_late() -> None:
    counted, socket = backlog(max_unanswered_events=1), Socket()
    events = [Event(socket, counted, "/", decode_event('["name"]'), ack_id=i) for i in range(2)]
    for event in events:
        counted.submit_event(event, lambda *_: None, None)
    assert counted.full
    events[1].reply("late")
    assert socket.sent == [b'431["late"]']
    assert not counted.full


def test_a_released_event_counts_no_longer_and_may_still_be_answered() -> None:
    counted, socket = backlog(max_unanswered_events=1), Socket()
    events = [Event(socket, counted, "/", decode_event('["name"]'), ack_id=i) for i in range(2)]
    for event in events:
        counted.submit_event(event, lambda _, event: event.release(), None)
    assert not counted.full
    for event in events:
        event.release()
        event.reply()
    assert socket.sent == [b"430[]", b"431[]"]
    assert not counted.full


def test_what_a_reply_needs_counts_until_the_reply() -> None:
    counted = backlog(max_held_bytes=1_000)
    event = Event(Socket(), counted, "/", decode_event(f'["{"x" * 2_000}"]'), ack_id=0)
    counted.submit_event(event, lambda *_: None, None)
    assert counted.full
    event.reply()
    assert not counted.full
