"""The ring of what operators are notified of."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from io import StringIO
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.environment import SYSTEM
from gbs_actor.observability import EventFilter, OperatorEvents, configure_logging
from gbs_actor.observability.operator_events import DISTINCT, WINDOW, EventPage


def ring(capacity: int = 100) -> OperatorEvents:
    return OperatorEvents(capacity, environment=replace(SYSTEM, wall=lambda: 1_000.0))


def texts(page: EventPage) -> list[str]:
    return [event.text for event in page.events]


def numbers(page: EventPage) -> list[int]:
    return [event.number for event in page.events]


def publish_traces(events: OperatorEvents, count: int) -> None:
    for number in range(1, count + 1):
        events.publish("trace.in", f"event {number}")


# What is kept


def test_an_event_says_what_happened_to_whom_and_when() -> None:
    events = ring()
    events.publish(
        "room.crashed", "it crashed", severity="error", room="winter", phase="deciding", pause=0.5
    )
    events.publish("session.closed", "it ended", user_id=7, sid="abc")
    page = events.after(0)
    assert (page.last, page.missed) == (2, 0)
    assert msgspec.to_builtins(page.events) == (
        {
            "number": 1,
            "at": 1_000.0,
            "kind": "room.crashed",
            "severity": "error",
            "room": "winter",
            "userId": None,
            "sid": None,
            "text": "it crashed",
            "details": {"phase": "deciding", "pause": 0.5},
        },
        {
            "number": 2,
            "at": 1_000.0,
            "kind": "session.closed",
            "severity": "info",
            "room": None,
            "userId": 7,
            "sid": "abc",
            "text": "it ended",
            "details": {},
        },
    )


def test_what_no_longer_fits_is_reported_as_missed() -> None:
    events = ring(3)
    publish_traces(events, 5)
    page = events.after(0)
    assert (numbers(page), page.missed, page.last) == ([3, 4, 5], 2, 5)
    assert events.after(3).missed == 0


def test_without_a_number_the_newest_are_returned_and_nothing_is_missed() -> None:
    events = ring(4)
    publish_traces(events, 6)
    page = events.after(None, limit=2)
    assert (numbers(page), page.missed, page.last) == ([5, 6], 0, 6)


def test_a_reader_gets_all_of_them_page_by_page() -> None:
    events = ring()
    publish_traces(events, 5)
    first = events.after(0, limit=2)
    second = events.after(first.last, limit=2)
    third = events.after(second.last, limit=2)
    assert [numbers(page) for page in (first, second, third)] == [[1, 2], [3, 4], [5]]
    assert numbers(events.after(third.last)) == []


def test_a_number_of_the_future_finds_nothing() -> None:
    events = ring()
    publish_traces(events, 2)
    page = events.after(50)
    assert (page.events, page.missed, page.last) == ((), 0, 2)


def test_only_what_is_of_interest_is_returned() -> None:
    events = ring()
    events.publish("room.started", "a", room="winter")
    events.publish("room.crashed", "b", room="summer")
    events.publish("session.closed", "c", room="winter", user_id=7)
    assert texts(events.after(0, EventFilter(("room.",)))) == ["a", "b"]
    assert texts(events.after(0, EventFilter(("room.crashed", "session.")))) == ["b", "c"]
    assert texts(events.after(0, EventFilter(room="winter"))) == ["a", "c"]
    assert texts(events.after(0, EventFilter(user_id=7))) == ["c"]
    nothing = events.after(0, EventFilter(user_id=8))
    assert (nothing.events, nothing.last, nothing.missed) == ((), 3, 0)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_each_event_is_shown_once_or_counted_as_missed(data: st.DataObject) -> None:
    events = OperatorEvents(data.draw(st.integers(1, 8)))
    read, missed, last = 0, 0, 0
    for _ in range(data.draw(st.integers(1, 20))):
        for _ in range(data.draw(st.integers(0, 6))):
            events.publish(data.draw(st.sampled_from(["trace.in", "operator.action"])), "x")
        page = events.after(last, limit=data.draw(st.integers(1, 5)))
        assert numbers(page) == sorted(set(numbers(page)))
        assert all(last < number <= page.last for number in numbers(page))
        read, missed, last = read + len(page.events), missed + page.missed, page.last
        assert read + missed == last


# Floods


def test_what_is_repeated_within_a_second_becomes_one_event() -> None:
    events = ring()
    for _ in range(10_000):
        events.publish("limit.hit", "too many", severity="warning", user_id=7, limit="rate")
    events.publish("limit.hit", "too many", severity="warning", user_id=8)
    assert [event.user_id for event in events.after(0).events] == [7, 8]
    events.flush()
    (more,) = events.after(2).events
    assert (more.user_id, more.severity, more.details) == (
        7,
        "warning",
        {"limit": "rate", "times": 9_999},
    )
    assert more.text == "too many (9999 more)"


def test_many_different_ones_of_a_kind_become_one_event_as_well() -> None:
    events = ring()
    for number in range(10_000):
        events.publish("session.refused", f"refused {number}", sid=str(number))
    events.flush()
    page = events.after(0)
    assert len(page.events) == DISTINCT + 1
    more = page.events[-1]
    assert more.text == f"refused 9999 ({10_000 - DISTINCT} more like this)"
    assert (more.sid, more.details) == (None, {"times": 10_000 - DISTINCT})


def test_repeats_in_a_room_come_before_its_next_event_of_another_kind() -> None:
    events = ring()
    for _ in range(3):
        events.publish("room.crashed", "it crashed", room="winter", phase="deciding")
        events.publish("room.crashed", "it crashed", room="summer")
    events.publish("room.failed", "it has failed", room="winter")
    page = events.after(2)
    assert texts(page) == ["it crashed (2 more)", "it has failed"]
    assert (page.events[0].room, page.events[0].details) == (
        "winter",
        {"phase": "deciding", "times": 2},
    )
    events.publish("room.crashed", "it crashed", room="winter")
    events.flush()
    after = [(event.room, event.text) for event in events.after(page.last).events]
    assert after == [("winter", "it crashed (1 more)"), ("summer", "it crashed (2 more)")]


def test_kinds_that_take_turns_in_a_room_still_become_few_events() -> None:
    events = ring(10_000)
    for _ in range(1_000):
        for kind in ("subscriber.lagging", "subscriber.caught_up"):
            for _ in range(2):
                events.publish(kind, kind, room="winter", user_id=7)
    events.flush()
    assert len(events) <= 5


def test_after_a_second_the_next_one_is_there_at_once_again() -> None:
    events = ring()
    for _ in range(2):
        events.publish("room.started", "a")
    events.flush()
    events.publish("room.started", "a")
    assert texts(events.after(0)) == ["a", "a (1 more)", "a"]


def test_each_event_of_a_trace_and_each_action_is_kept() -> None:
    events = ring()
    for kind in ("trace.in", "trace.out", "operator.action"):
        for _ in range(DISTINCT + 5):
            events.publish(kind, "the same")
    assert len(events) == 3 * (DISTINCT + 5)


def test_a_flood_of_one_kind_displaces_no_other() -> None:
    events = ring(10)
    events.publish("room.crashed", "it crashed")
    publish_traces(events, 1_000)
    page = events.after(0)
    assert texts(page)[0] == "it crashed"
    assert (len(page.events), page.missed, page.last) == (10, 991, 1_001)


async def test_the_task_reports_what_was_repeated_once_a_second(
    autojump_clock: MockClock,
) -> None:
    events = ring()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.run)
        await wait_all_tasks_blocked()
        for _ in range(3):
            events.publish("limit.hit", "a")
        started = trio.current_time()
        await events.wait(1)
        assert trio.current_time() - started == WINDOW
        events.publish("limit.hit", "a")
        events.publish("limit.hit", "a")
        nursery.cancel_scope.cancel()
    assert texts(events.after(0)) == ["a", "a (2 more)", "a", "a (1 more)"]


# Waiting


async def test_a_reader_waits_for_the_next_one_and_no_longer(autojump_clock: MockClock) -> None:
    events = ring()
    events.publish("room.started", "a")
    await events.wait(0)
    with trio.move_on_after(5) as waiting:
        await events.wait(1)
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.wait, 1)
        await wait_all_tasks_blocked()
        events.publish("room.started", "b")


# What others have written


def test_texts_of_clients_are_made_visible_masked_and_cut() -> None:
    events = ring()
    hostile = "\x1b]52;c;eA==\x07\n2026 ERROR forged " + "x" * 100_000
    token = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2VjcmV0c2VjcmV0"
    events.publish("session.refused", hostile, room=hostile, sid=hostile, reason=hostile)
    events.publish("session.refused", f"token {token}", reason=token)
    first, second = events.after(0).events
    for text in (first.text, first.room, first.sid, first.details["reason"]):
        assert isinstance(text, str)
        assert text.startswith(r"\u001b]52;c;eA==\u0007\n2026 ERROR forged xxx")
        assert len(text) < 600
    assert token not in json.dumps(msgspec.to_builtins(second))


def test_details_of_any_type_can_be_sent() -> None:
    events = ring()
    events.publish("room.started", "a", what={"a": object()}, none=None, yes=True, share=0.5)
    details = json.loads(msgspec.json.encode(events.after(0).events[0].details))
    assert (details["none"], details["yes"], details["share"]) == (None, True, 0.5)
    assert details["what"]["a"].startswith("<object")


# The log


@pytest.fixture
def log() -> Any:
    stream = StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(log_level="INFO", log_format="json", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_each_event_is_one_line_of_the_log_with_its_fields(log: StringIO) -> None:
    events = ring()
    events.publish(
        "session.closed",
        "it ended",
        severity="warning",
        room="winter",
        user_id=7,
        sid="abc",
        name="a detail may have any name",
    )
    for _ in range(100):
        events.publish("room.started", "a", room="winter")
    events.flush()
    first, second, third = map(json.loads, log.getvalue().splitlines())
    assert first["event"] == "it ended"
    assert first["level"] == "warning"
    assert first["logger"] == "gbs_actor.events.session"
    assert (first["kind"], first["room"], first["user_id"], first["sid"]) == (
        "session.closed",
        "winter",
        7,
        "abc",
    )
    assert first["details"] == {"name": "a detail may have any name"}
    assert (second["event"], third["event"]) == ("a", "a (99 more)")
    assert "sid" not in second


def test_the_log_has_the_traceback_and_the_ring_has_not(log: StringIO) -> None:
    events = ring()
    traceback = "Traceback (most recent call last):\nValueError: a fault"
    events.publish("room.crashed", "it crashed", severity="error", traceback=traceback)
    assert json.loads(log.getvalue())["exception"] == traceback
    assert "a fault" not in str(events.after(0))
