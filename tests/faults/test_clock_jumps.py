"""The wall clock jumps: nothing is lost, and the order of edits is that of their revisions."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.server_process import (
    RETREAT,
    ServerProcess,
    clean_environment,
    data_folder,
    demo_data,
    start_server,
    token,
)
from tests.faults.editing import editing
from tests.faults.wall_clock import WallClock, wall_clock
from tests.store.fixtures import copy_folder

HOUR, DAY = 3_600.0, 86_400.0
JUMPS = (DAY, -2 * DAY, 20 * DAY, -HOUR, 0.0)
EDITS = 30
FOR_EVER: dict[str, object] = {"exp": None}
"""The claims of a token that does not expire."""
ENVIRONMENT = {"GBS_EVENT_RATE": "100000", "GBS_EDITING_TIMEOUT": "1"}


@pytest.fixture
def clocked() -> Iterator[tuple[ServerProcess, WallClock]]:
    with data_folder() as data_dir, wall_clock(data_dir.parent) as clock:
        copy_folder(demo_data(), data_dir)
        server = start_server(
            data_dir,
            log_path=data_dir.with_name("log"),
            environment={**ENVIRONMENT, **clock.environment},
        )
        try:
            yield server, clock
        except BaseException:
            sys.stderr.write(server.log()[-8000:])
            server.kill()
            raise
        assert server.stop() == 0, server.log()[-4000:]


def verify(server: ServerProcess) -> str:
    """Compare the rows of a stopped server with its log; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "gbs_actor.cli", "verify", RETREAT],
        env=clean_environment(server.data_dir, {}),
        cwd=server.data_dir.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_jumps_of_the_wall_clock_cost_no_edit(
    clocked: tuple[ServerProcess, WallClock],
) -> None:
    server, clock = clocked
    async with editing(server, claims=FOR_EVER) as editors:
        for jump in JUMPS:
            clock.set(jump)
            await editors.more(EDITS)
    assert server.stop() == 0
    assert verify(server).rstrip().endswith("OK")
    server.start_again()


async def test_who_comes_back_after_a_jump_and_a_kill_misses_nothing(
    clocked: tuple[ServerProcess, WallClock],
) -> None:
    server, clock = clocked
    async with editing(server, claims=FOR_EVER) as editors:
        for jump in JUMPS:
            await editors.more(EDITS)
            clock.set(jump)
            await trio.to_thread.run_sync(server.kill_and_start_again)
        await editors.more(EDITS)


async def test_a_time_that_goes_back_is_recorded_as_it_is_and_changes_no_order(
    clocked: tuple[ServerProcess, WallClock],
) -> None:
    server, clock = clocked
    async with connect(server.url, token(**FOR_EVER)) as client:  # type: ignore[arg-type]
        await client.join(RETREAT)
        row_id = next(row.id for row in client.rows if not row.is_leader)
        later = await client.assign(row_id, 101)
        clock.set(-DAY)
        earlier = await client.assign(row_id, 102)
        assert (earlier.gbs_number, earlier.revision) == (102, later.revision + 1)
        assert _moment(earlier.updated_at) < _moment(later.updated_at)
        epoch = client.epoch
        clock.set(DAY)
        await client.leave()
        await client.join(RETREAT)
        found = client.row(row_id)
        assert found is not None
        assert found.gbs_number == 102
        assert client.epoch == epoch


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_an_editing_mark_ends_in_its_time_whatever_the_wall_clock_does(
    clocked: tuple[ServerProcess, WallClock], jump: float
) -> None:
    server, clock = clocked
    writer, reader = (token(user, **FOR_EVER) for user in (7, 8))  # type: ignore[arg-type]
    async with connect(server.url, writer) as one, connect(server.url, reader) as other:
        await one.join(RETREAT)
        await other.join(RETREAT)
        updates = other.updates()
        began = time.monotonic()
        await one.mark_editing(one.rows[0].id, "gbsNumber")
        clock.set(jump)
        with trio.fail_after(20):
            async for update in updates:
                if getattr(update, "editing", None) is False:
                    break
        assert time.monotonic() - began > 0.8


async def test_a_token_expires_by_the_wall_clock_and_a_new_one_is_taken(
    clocked: tuple[ServerProcess, WallClock],
) -> None:
    server, clock = clocked
    now = time.time()
    clock.set(DAY)
    with pytest.raises(Exception, match="expired") as refused:
        async with connect(server.url, token()) as client:
            await client.join(RETREAT)
    assert "expired" in str(refused.value).lower()
    async with connect(server.url, token(exp=int(now + DAY + HOUR))) as client:
        assert len(await client.join(RETREAT)) == 80


def test_the_log_has_the_time_of_the_clock(clocked: tuple[ServerProcess, WallClock]) -> None:
    server, clock = clocked
    clock.set(-2 * DAY)
    server.kill_and_start_again()
    *_, last = (json.loads(line) for line in server.log().splitlines() if "Serving" in line)
    assert time.time() - _moment(last["timestamp"]).timestamp() > DAY


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
