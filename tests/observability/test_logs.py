"""Our log entries and those of libraries come out alike, in the form that is set."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog
import trio
from structlog.contextvars import bound_contextvars

from gbs_actor.observability import configure_logging

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def as_json(stream: io.StringIO) -> io.StringIO:
    configure_logging(log_level="INFO", log_format="json", stream=stream)
    return stream


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_json_object_on_one_line(as_json: io.StringIO) -> None:
    structlog.get_logger("gbs_actor.x").info("Room\nstarted", slug="겨울", people=80)
    (entry,) = entries(as_json)
    assert (entry["event"], entry["slug"], entry["people"]) == ("Room\nstarted", "겨울", 80)
    assert (entry["level"], entry["logger"]) == ("info", "gbs_actor.x")
    assert entry["timestamp"].endswith("Z")


@pytest.mark.parametrize("name", ["hypercorn.error", "quart.app", "gbs_actor.socketio", "trio"])
def test_libraries_use_the_same_handler(as_json: io.StringIO, name: str) -> None:
    library = logging.getLogger(name)
    library.warning("cannot %s", "bind", extra={"port": 5})
    (entry,) = entries(as_json)
    assert (entry["event"], entry["logger"], entry["port"]) == ("cannot bind", name, 5)


def test_ids_that_are_not_known_are_left_out(as_json: io.StringIO) -> None:
    known = {"sid": None, "room": "winter", "user_id": None, "command_id": None}
    logging.getLogger("x").warning("a line", extra=known | {"port": None})
    (entry,) = entries(as_json)
    assert entry.keys() == {"event", "level", "logger", "timestamp", "room", "port"}


def test_a_library_that_brought_a_handler_of_its_own_logs_nothing_twice(
    stream: io.StringIO,
) -> None:
    library, own = logging.getLogger("hypercorn.error"), io.StringIO()
    library.addHandler(logging.StreamHandler(own))
    library.propagate = False
    configure_logging(log_level="INFO", log_format="json", stream=stream)
    library.error("once")
    assert len(entries(stream)) == 1
    assert own.getvalue() == ""


def test_an_exception_is_logged_with_its_traceback_and_without_secrets(
    as_json: io.StringIO,
) -> None:
    def fail() -> None:
        raise ExceptionGroup("both", [ValueError("postgresql://me:geheim@host/db")])

    try:
        fail()
    except ExceptionGroup:
        structlog.get_logger("x").exception("Failed")
    (entry,) = entries(as_json)
    assert "ValueError: postgresql://me:***@host/db" in entry["exception"]
    assert "test_logs.py" in entry["exception"]


def test_a_secret_of_a_library_is_masked(as_json: io.StringIO) -> None:
    logging.getLogger("hypercorn.error").error("refused %s", "Bearer geheim")
    assert "geheim" not in as_json.getvalue()


def test_what_is_below_the_level_is_not_logged(stream: io.StringIO) -> None:
    configure_logging(log_level="WARNING", log_format="json", stream=stream)
    structlog.get_logger("x").info("unseen")
    logging.getLogger("y").info("unseen")
    structlog.get_logger("x").warning("seen")
    assert [entry["event"] for entry in entries(stream)] == ["seen"]


def test_the_console_format_is_for_people(stream: io.StringIO) -> None:
    configure_logging(log_level="INFO", log_format="console", stream=stream)
    structlog.get_logger("x").info("Room started", slug="2024-winter")
    assert "Room started" in stream.getvalue()
    assert "slug=2024-winter" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_second_setup_replaces_the_first(stream: io.StringIO) -> None:
    first = io.StringIO()
    configure_logging(log_level="INFO", log_format="json", stream=first)
    configure_logging(log_level="INFO", log_format="json", stream=stream)
    structlog.get_logger("x").info("once")
    assert first.getvalue() == ""
    assert len(entries(stream)) == 1


async def test_context_belongs_to_the_task_that_bound_it(as_json: io.StringIO) -> None:
    log = structlog.get_logger("x")

    async def in_room(slug: str) -> None:
        with bound_contextvars(slug=slug):
            await trio.lowlevel.checkpoint()
            log.info("here", expected=slug)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_room, "winter")
        nursery.start_soon(in_room, "summer")
    log.info("outside")
    *inside, outside = entries(as_json)
    assert [entry["slug"] == entry["expected"] for entry in inside] == [True, True]
    assert "slug" not in outside
