"""Starts under stock Hypercorn that cannot succeed: one sentence, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gbs_actor.store.embedded.postmaster import processes_of, wait_ended
from tests.e2e.server_process import (
    HYPERCORN,
    ServerProcess,
    clean_environment,
    data_folder,
    demo_data,
    running_server,
)
from tests.store.fixtures import copy_folder

PATIENCE = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server(hosted=True) as running:
        yield running


def refused(
    data_dir: Path, environment: Mapping[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Start Hypercorn, and return how it ended by itself."""
    return subprocess.run(
        [sys.executable, *HYPERCORN, "127.0.0.1:0", *options, "gbs_actor.asgi:app"],
        env=clean_environment(data_dir, environment),
        cwd=data_dir.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def sentences(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what it complained of."""
    assert "Traceback" not in ended.stderr
    return [line for line in ended.stderr.splitlines() if line.startswith("Error:")]


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"GBS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "cannot be reached"),
        ({"GBS_EVENT_RATE": "-1"}, "GBS_EVENT_RATE"),
        ({"GBS_JWT_SECRET": ""}, "GBS_JWT_SECRET"),
    ],
)
def test_what_cannot_start_says_why_in_one_sentence(
    environment: dict[str, str], reason: str, workers: str
) -> None:
    with data_folder() as data_dir:
        ended = refused(data_dir, environment, "--workers", workers)
    (sentence,) = sentences(ended)
    assert reason in sentence
    # Otherwise it is another process that ends, which forgets the exit code of its worker.
    assert workers == "1" or ended.returncode == 1


def test_a_second_server_on_the_same_directory_is_refused(server: ServerProcess) -> None:
    ended = refused(server.data_dir, {}, "--workers", "0")
    (sentence,) = sentences(ended)
    assert "another server" in sentence
    assert ended.returncode == 1
    assert server.get("/readyz") is not None


def test_a_second_server_on_the_same_database_is_refused(server: ServerProcess) -> None:
    with data_folder() as elsewhere:
        ended = refused(elsewhere, {"GBS_DATABASE_URL": server.dsn}, "--workers", "0")
    (sentence,) = sentences(ended)
    assert "another server" in sentence
    assert ended.returncode == 1
    assert server.get("/readyz") is not None


async def test_a_second_worker_is_refused_and_ends_the_first() -> None:
    with data_folder() as data_dir:
        copy_folder(demo_data(), data_dir)
        ended = refused(data_dir, {}, "--workers", "2")
        with processes_of(data_dir / "pgdata") as left:
            assert await wait_ended(left, PATIENCE)
    assert any("another server" in sentence for sentence in sentences(ended))
