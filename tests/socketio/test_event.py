"""What an event costs while it is held, and what it counts as."""

from __future__ import annotations

import tracemalloc

import pytest

from gbs_actor.socketio import Message
from gbs_actor.socketio.event import Event
from gbs_actor.socketio.packet import decode_event


class Nobody:
    """Wants no answer, and keeps no account."""

    def send_ack(self, message: Message) -> None:
        raise AssertionError(message)

    def release_event(self) -> None:
        raise AssertionError

    def forget_event(self, size: int) -> None:
        pass


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1_000, 100_000])
def test_what_it_counts_as_is_what_it_costs(count: int) -> None:
    text = '["name"' + ',"한글"' * count + "]"
    tracemalloc.start()
    try:
        event = Event(Nobody(), "/", None, decode_event(text))
        del text
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 1.5 * event.size + 1_000
    assert event.size <= 20 * count + 1_000
    assert event.first == ('"한글"'.encode() if count else None)
    assert event.arguments() == ["한글"] * count
