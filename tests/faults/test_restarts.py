"""Starting again after a fault, and starting twice."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gbs_actor.cli.signals import MARGIN
from gbs_actor.client import connect
from gbs_actor.store.embedded.postmaster import processes_of
from tests.e2e.server_process import (
    RETREAT,
    DidNotStart,
    ServerProcess,
    data_folder,
    running_server,
    start_server,
    token,
)
from tests.faults.postgres_processes import freeze, kill, postmaster

SOON = 5.0
"""Seconds within which a server on existing data must serve again."""
SLOWER = 4.0
"""How many times as long as the first start, which finds no fault, another one may take."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(on_disk=True) as running:
        yield running


async def _edit(server: ServerProcess) -> tuple[int, int]:
    """Change somebody's number; return their id and the number."""
    async with connect(server.url, token()) as client:
        person = next(row for row in await client.join(RETREAT) if not row.is_leader)
        changed = await client.assign(person.id, 4321)
    return changed.id, 4321


async def _number(server: ServerProcess, row_id: int) -> int | None:
    async with connect(server.url, token()) as client:
        return next(row for row in await client.join(RETREAT) if row.id == row_id).gbs_number


def _start_again_soon(server: ServerProcess) -> None:
    """Start it, in the time that a start takes on this machine, busy as it is."""
    again = start_server(server.data_dir, log_path=server.log_path)
    server.process, server.port = again.process, again.port
    assert again.started_in < max(SOON, SLOWER * server.started_in)


@pytest.mark.parametrize("victims", ["server", "database", "both"])
async def test_after_a_kill_the_next_start_is_soon_and_has_the_data(
    server: ServerProcess, victims: str
) -> None:
    row_id, number = await _edit(server)
    database = postmaster(server)
    assert database is not None
    if victims in {"database", "both"}:
        kill(database)
    if victims == "database":
        server.stop()
    else:
        server.kill()
    _start_again_soon(server)
    assert await _number(server, row_id) == number


async def test_after_an_orderly_stop_the_next_start_is_soon_and_has_the_data(
    server: ServerProcess,
) -> None:
    row_id, number = await _edit(server)
    assert server.stop() == 0
    _start_again_soon(server)
    assert await _number(server, row_id) == number


@pytest.mark.parametrize("grace", [0.5, 6.0])
async def test_a_server_whose_database_is_frozen_ends_in_time_and_loses_nothing(
    server: ServerProcess, grace: float
) -> None:
    server.stop()
    server.environment = {"GBS_SHUTDOWN_GRACE": str(grace)}
    server.start_again()
    row_id, number = await _edit(server)
    assert freeze(server)
    began = time.monotonic()
    assert server.stop() == 0
    # The end of a process takes some time of its own, but no more than its start.
    assert time.monotonic() - began < grace + MARGIN + server.started_in
    assert "postgres does not stop; it is killed" in server.log()
    with processes_of(server.pgdata) as left:
        assert left == []
    _start_again_soon(server)
    assert await _number(server, row_id) == number


def _last_words(refused: DidNotStart) -> str:
    assert "Traceback" not in refused.log
    assert refused.exit_code not in {0, None}
    return refused.log.strip().splitlines()[-1]


def test_a_second_server_on_the_same_directory_is_refused_in_one_sentence(
    server: ServerProcess,
) -> None:
    with pytest.raises(DidNotStart) as refused:
        start_server(server.data_dir, log_path=server.data_dir.with_name("second"))
    assert "another server" in _last_words(refused.value)
    assert server.get("/readyz") is not None


def test_a_second_server_on_the_same_database_is_refused_in_one_sentence(
    server: ServerProcess,
) -> None:
    with data_folder() as elsewhere, pytest.raises(DidNotStart) as refused:
        start_server(
            elsewhere,
            log_path=elsewhere.with_name("log"),
            environment={"GBS_DATABASE_URL": server.dsn},
        )
    assert "another server" in _last_words(refused.value).lower()
    assert server.get("/readyz") is not None


def test_who_comes_right_after_a_stop_gets_the_directory(server: ServerProcess) -> None:
    server.stop()
    _start_again_soon(server)
