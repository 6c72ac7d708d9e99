"""A browser for scripts; it needs Chromium, Node.js and npm, as the tests of the page do."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.drivers import running_program
from tests.node_packages import install, node_and_npm

NODE: Final = Path(__file__).parents[1] / "tests" / "e2e" / "node"


@contextmanager
def a_browser() -> Iterator[int]:
    """Run the program that has the pages; yield its port."""
    node, npm = node_and_npm()
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("Chromium is not installed")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(NODE, folder, dirs_exist_ok=True)
        install(npm, Path(folder))
        with running_program([node, f"{folder}/pages.mjs", executable]) as port:
            yield port
