"""Levels of single loggers for some minutes, beside the settings that are read again."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from trio.testing import MockClock

from gbs_actor.observability import AUDIT_LOGGER, LogLevels, UnknownLogger, configure_logging

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

ROOMS = "gbs_actor.rooms"
ROOM = logging.getLogger("gbs_actor.rooms.room")


@asynccontextmanager
async def levels() -> AsyncIterator[LogLevels]:
    configure_logging(log_level="INFO", log_format="json", stream=io.StringIO())
    made = LogLevels()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()


async def test_a_level_holds_for_its_minutes_and_for_what_is_below(
    autojump_clock: MockClock,
) -> None:
    async with levels() as changing:
        assert changing.change(ROOMS, "DEBUG", 5)
        assert ROOM.isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("gbs_actor.gateway").isEnabledFor(logging.DEBUG)
        await trio.sleep(299)
        assert ROOM.isEnabledFor(logging.DEBUG)
        await trio.sleep(2)
        assert not ROOM.isEnabledFor(logging.DEBUG)
        assert changing.statistics().temporary == ()


async def test_a_second_change_begins_the_time_anew_and_keeps_the_former_level(
    autojump_clock: MockClock,
) -> None:
    logger = logging.getLogger(ROOMS)
    async with levels() as changing:
        logger.setLevel(logging.WARNING)
        changing.change(ROOMS, "DEBUG", 1)
        await trio.sleep(50)
        assert changing.change(ROOMS, "ERROR", 1)
        assert not changing.change(ROOMS, "ERROR", 1)
        await trio.sleep(50)
        assert logger.level == logging.ERROR
        await trio.sleep(20)
        assert logger.level == logging.WARNING
    logger.setLevel(logging.NOTSET)


async def test_settings_that_are_read_again_hold_once_the_time_is_over(
    autojump_clock: MockClock,
) -> None:
    async with levels() as changing:
        changing.change(ROOMS, "DEBUG", 1)
        configure_logging(log_level="ERROR", log_format="json", stream=io.StringIO())
        assert ROOM.isEnabledFor(logging.DEBUG)
        await trio.sleep(61)
        assert not ROOM.isEnabledFor(logging.WARNING)
        assert ROOM.isEnabledFor(logging.ERROR)
        assert changing.statistics().default == "ERROR"


async def test_the_end_gives_all_levels_back(autojump_clock: MockClock) -> None:
    async with levels() as changing:
        changing.change(ROOMS, "DEBUG", 120)
    assert not ROOM.isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize("name", ["", "root", AUDIT_LOGGER, "hypercorn.access", "no.such.part"])
async def test_the_root_and_the_audit_cannot_be_changed(
    name: str, autojump_clock: MockClock
) -> None:
    async with levels() as changing:
        with pytest.raises(UnknownLogger):
            changing.change(name, "ERROR", 1)
        assert name not in changing.statistics().loggers


async def test_no_level_silences_the_audit(autojump_clock: MockClock) -> None:
    stream = io.StringIO()
    async with levels() as changing:
        configure_logging(log_level="ERROR", log_format="json", stream=stream)
        changing.change("gbs_actor", "ERROR", 1)
        structlog.get_logger(AUDIT_LOGGER).info("audit", action="room.stop")
    assert "room.stop" in stream.getvalue()
