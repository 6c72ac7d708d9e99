"""A command on a terminal of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from tests.cli.demo_process import CLI, environment


class Terminal:
    """What a command has written to its terminal."""

    def __init__(self, master: int) -> None:
        self._master = trio.lowlevel.FdStream(master)
        self.received = b""

    async def until(self, words: str) -> str:
        """Return all that has come, once it contains these words."""
        with trio.fail_after(60):
            while words.encode() not in self.received:
                try:
                    self.received += await self._master.receive_some(65_536)
                except trio.BrokenResourceError as error:
                    raise AssertionError(self.received.decode()) from error
        return self.received.decode()

    async def write(self, text: str) -> None:
        """Type something."""
        await self._master.send_all(text.encode())


@contextmanager
def on_terminal(*arguments: str, data: Path, **more: str) -> Iterator[Terminal]:
    """Run a command line; kill it behind the block."""
    master, slave = os.openpty()
    try:
        process = subprocess.Popen(
            [*CLI, *arguments],
            env={**environment(data), "TERM": "xterm-256color", **more},
            cwd=data.parent,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,  # with no other terminal to ask at
        )
    finally:
        os.close(slave)
    try:
        yield Terminal(master)
    finally:
        process.kill()
        process.wait()
