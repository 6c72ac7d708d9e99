"""The log of commands that took long."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.rooms import RoomSettings, slow_commands
from gbs_actor.testing.store import Fault

from .world import World, give_all, world

LOGGER = "gbs_actor.rooms.slow_commands"


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == LOGGER]


async def edit_slowly(w: World, slow_command: float) -> None:
    """Make an edit that takes a second to commit."""
    w.supervisor.slow_commands.threshold = slow_command
    client = await w.client()
    w.store.fail(Fault.SLOW)
    await client.ask(AssignNumber(7, 1))


async def test_a_slow_command_is_logged_with_whose_it_is_and_where_the_time_went(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        w.supervisor.slow_commands.threshold = 0.5
        client = await w.client(5)
        command = client.command(CreateMemo(7, "a secret memo", "#FF0000"))
        w.store.fail(Fault.SLOW)
        client.give(command)
        await trio.sleep(5)
        (line,) = lines(caplog)
        assert line.levelno == logging.WARNING
        assert line.getMessage() == (
            "a command took 1.000 s, 0.000 s of it queued, 0.000 s decided, 1.000 s committed, "
            "0.000 s handed out; slow ones unlogged: 0"
        )
        fields = vars(line)
        assert fields["command_id"] == str(command.id)
        assert (fields["user_id"], fields["room"], fields["took"]) == (5, "winter", 1.0)
        assert (fields["command"], fields["batch_size"]) == ("create-memo", 1)
        assert "secret" not in str(fields)


async def test_time_in_the_mailbox_counts(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        w.supervisor.slow_commands.threshold = 1.5
        client = await w.client()
        w.store.fail(Fault.SLOW, Fault.SLOW)
        give_all(client, 1)
        await wait_all_tasks_blocked()
        give_all(client, 2, 3, 4)
        await trio.sleep(5)
        (line,) = lines(caplog)
        assert "took 2.000 s, 1.000 s of it queued" in line.getMessage()
        assert line.getMessage().endswith("slow ones unlogged: 2")
        assert vars(line)["batch_size"] == 3


async def test_a_slow_command_that_is_rejected_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        w.supervisor.slow_commands.threshold = 0.5
        client = await w.client()
        w.store.fail(*[Fault.HANGS] * 3)
        give_all(client, 1)
        await trio.sleep(60)
        (line,) = lines(caplog)
        assert "until it was rejected" in line.getMessage()


@pytest.mark.parametrize("threshold", [0.0, 1.1])
async def test_what_is_fast_enough_is_not_logged(
    threshold: float, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        await edit_slowly(w, threshold)
        assert lines(caplog) == []


async def test_lines_have_a_distance_and_what_is_slow_in_between_is_counted(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_commands, "INTERVAL", 2.5)
    async with world(config=RoomSettings(batch_size=1)) as w:
        w.supervisor.slow_commands.threshold = 0.5
        client = await w.client()
        w.store.fail(*[Fault.SLOW] * 5)
        give_all(client, 1, 2, 3, 4, 5)
        await trio.sleep(10)
        endings = [line.getMessage().rpartition(": ")[2] for line in lines(caplog)]
        assert endings == ["0", "2"]
