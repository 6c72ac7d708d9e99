"""One Chromium process for the pages of many tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_chromium(node: str, executable: str, folder: Path) -> Iterator[str]:
    """Run a browser for the time of a block; yield where ``browser.mjs`` reaches it.

    :param folder: of the drivers, with their packages installed.
    """
    process = subprocess.Popen(
        [node, str(folder / "chromium.mjs"), executable],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        endpoint = process.stdout.readline().strip()
        assert endpoint, "Chromium did not start"
        yield endpoint
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
