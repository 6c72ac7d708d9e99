"""Commands run in this process, without what surrounds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gbs_actor.cli.app import app
from tests.cli.demo_process import Demo, read_until, running
from tests.e2e.server_process import data_folder
from tests.store.fixtures import PostgresCluster

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _logging_as_it_was(logging_as_it_was: None) -> None:
    """Commands set up logging for a whole process; that process is the test run here."""


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Where a shell has started this process in the background, its children ignore SIGINT."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line in an empty folder, with no settings but those of the call."""
    for name in [name for name in os.environ if name.startswith("GBS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Result:
        defaults = {"GBS_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "100"}
        return CliRunner().invoke(app, arguments, env={**defaults, **environment})

    return run


@pytest.fixture
def empty_database_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A database without a schema."""
    with postgres_cluster.fresh_database(migrated=False) as url:
        yield url


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A demo on a fresh folder, stopped in good order behind the module."""
    with data_folder() as data, running("serve", "--demo", "--port", "0", data=data) as process:
        yield Demo(data, read_until(process, r"^  \}\);$"))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
