"""A process that runs an embedded PostgreSQL and nothing else, to be killed.

Run as a program it prints a line when PostgreSQL has answered, and stays until it ends.
"""

from __future__ import annotations

import argparse
import codecs
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from gbs_actor.settings import default_data_dir
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.connection import connect

REPOSITORY = Path(__file__).parents[2]
READY = b"the database has answered\n"


@dataclass(frozen=True)
class ServerProcess:
    """A running process, seen from the test."""

    process: trio.Process
    answers: bool
    """Whether its PostgreSQL has answered."""

    def kill(self) -> None:
        """Kill it the hard way."""
        self.process.kill()

    async def wait(self) -> None:
        """Wait for its end."""
        await self.process.wait()


@asynccontextmanager
async def server_process(
    base: Path | None,
    *,
    lingering: bool = False,
    umask: int = 0o022,
    uid: int | None = None,
    home: Path | None = None,
) -> AsyncIterator[ServerProcess]:
    """Run such a process for the time of a block.

    :param base: its folder; ``None``: the default one.
    :param lingering: its PostgreSQL does not notice when it is killed.
    :param uid: becomes this user first; it has to start as root then.
    """
    command = [sys.executable, "-m", __name__]
    command += [] if base is None else ["--base", str(base)]
    command += ["--lingering"] if lingering else []
    command += [] if uid is None else ["--uid", str(uid)]
    environment = {key: value for key, value in os.environ.items() if key != "XDG_DATA_HOME"}
    if home is not None:
        environment["HOME"] = str(home)
    options = {"cwd": REPOSITORY, "umask": umask, "env": environment}
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(trio.run_process, command, stdin=-1, stdout=-1, check=False, **options)
        )
        assert process.stdout is not None
        said = b""
        with trio.fail_after(60):
            async for chunk in process.stdout:
                said += chunk
                if READY in said:
                    break
        try:
            yield ServerProcess(process, READY in said)
        finally:
            process.terminate()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 30):
                await process.wait()


async def _serve(base: Path | None) -> None:
    async with EmbeddedPostgres(base or default_data_dir()).running() as dsn:
        deadline = trio.current_time() + 10
        connection = await connect(dsn, deadline=deadline)
        await connection.fetch("SELECT 1", deadline=deadline)
        connection.terminate()
        # Ends by itself with the test, should it be forgotten.
        with trio.move_on_after(120), trio.open_signal_receiver(signal.SIGTERM) as signals:
            sys.stdout.buffer.write(READY)
            sys.stdout.flush()
            async for _ in signals:
                break


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path)
    parser.add_argument("--lingering", action="store_true")
    parser.add_argument("--uid", type=int)
    arguments = parser.parse_args()
    if arguments.lingering:
        os.environ["PATH"] = "/nonexistent"  # no setpriv: no parent-death signal
    if arguments.uid is not None:
        # From here on this user may be unable to read the interpreter's own files.
        for encoding in ("ascii", "idna", "latin-1"):
            codecs.lookup(encoding)
        os.setgroups([])
        os.setgid(arguments.uid)
        os.setuid(arguments.uid)
    trio.run(_serve, arguments.base)


if __name__ == "__main__":
    _main()
