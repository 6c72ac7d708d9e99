"""A disk that can be filled: a file system of a few megabytes, in memory."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

CHUNK = 65_536


@dataclass(frozen=True)
class SmallDisk:
    """A small file system."""

    path: Path

    def fill(self) -> None:
        """Take all the space that is left."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            chunk = CHUNK
            while chunk:
                try:
                    while filler.write(bytes(chunk)) == chunk:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                chunk //= 2

    def free(self) -> None:
        """Give it back."""
        with suppress(FileNotFoundError):
            (self.path / "filler").unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount a file system for the time of a block; skip the test where that is not allowed."""
    path = Path(tempfile.mkdtemp(prefix="gbs-disk-"))
    try:
        options = f"size={megabytes}m,mode=711"
        mounted = (
            os.geteuid() == 0
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "gbs-actor-tests", str(path)],
                check=False,
                capture_output=True,
            ).returncode
        )
        if not mounted:
            pytest.skip("only root may mount a small file system, and not everywhere")
        try:
            yield SmallDisk(path)
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
    finally:
        path.rmdir()
