"""A wall clock that can be set, for a server and its PostgreSQL."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("wall_clock.c")
LONG = struct.Struct("l")


class WallClock:
    """The wall clock of the processes that get :attr:`environment`."""

    def __init__(self, library: Path, offset: Path) -> None:
        with offset.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), LONG.size)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(offset)}
        """Variables of a process that goes by this clock, as do its children."""

    def set(self, seconds: float) -> None:
        """Set it ahead of the machine's by so many seconds; negative: behind it."""
        self._mapped[:] = LONG.pack(int(seconds))


@contextmanager
def wall_clock(folder: Path) -> Iterator[WallClock]:
    """Make a clock that shows the right time; skip the test without a C compiler.

    :param folder: every account has to be able to enter it.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler for a wall clock that can be set")
    library, offset = folder / "wall_clock.so", folder / "wall_clock_offset"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True
    )
    library.chmod(0o755)
    offset.write_bytes(LONG.pack(0))
    offset.chmod(0o644)
    yield WallClock(library, offset)
