"""A full disk: no acknowledged edit is lost, and the server goes on once there is space."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.server_process import ServerProcess, data_folder, demo_data, start_server
from tests.faults.editing import editing
from tests.faults.readiness import until_ready, until_unready
from tests.faults.small_disk import SmallDisk, small_disk
from tests.store.fixtures import copy_folder

ENVIRONMENT = {"GBS_WRITE_CHECK_INTERVAL": "0.5", "GBS_EVENT_RATE": "100000"}
EDITS = 50
TIMES = 3


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk(192) as disk:
        yield disk


@contextmanager
def served_from(disk: SmallDisk) -> Iterator[ServerProcess]:
    """A server with its data on this disk, and its log elsewhere."""
    with data_folder() as elsewhere:
        data_dir = disk.path / "data"
        copy_folder(demo_data(), data_dir)
        server = start_server(
            data_dir, log_path=elsewhere.with_name("log"), environment=ENVIRONMENT
        )
        try:
            yield server
        except BaseException:
            sys.stderr.write(server.log()[-8000:])
            server.kill()
            raise
        assert server.stop() == 0, server.log()[-4000:]


async def test_a_full_disk_costs_time_and_no_edit(disk: SmallDisk) -> None:
    with served_from(disk) as server:
        async with editing(server) as editors:
            for _ in range(TIMES):
                await editors.more(EDITS)
                disk.fill()
                await until_unready(server)
                disk.free()
                await until_ready(server)
                await editors.more(EDITS)
        assert server.alive()


async def test_a_full_disk_is_noticed_and_left_behind_without_anybody_editing(
    disk: SmallDisk,
) -> None:
    with served_from(disk) as server:
        await until_ready(server)
        disk.fill()
        reason = await until_unready(server)
        assert reason == "The database refuses to write."
        disk.free()
        await until_ready(server)
