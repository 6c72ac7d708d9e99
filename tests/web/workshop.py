"""Where the browser's client is checked, packed and built: a copy of it, beside npm's packages."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import gbs_actor.web
from tests.node_packages import install, locked, node_and_npm

CLIENT = Path(gbs_actor.web.__file__).parent / "client"
HERE = Path(__file__).parent / "client"


@contextmanager
def workshop(config: pytest.Config) -> Iterator[Path]:
    """A folder for the time of a block, with the client in ``client``, below its packages."""
    assert config.cache is not None
    _, npm = node_and_npm()
    shared = config.cache.mkdir("client-workshop")
    with locked(shared):
        shutil.copy(HERE / "package.json", shared)
    install(npm, shared)
    with tempfile.TemporaryDirectory(dir=shared) as name:
        folder = Path(name)
        left_out = shutil.ignore_patterns("node_modules", "types")
        shutil.copytree(CLIENT, folder / "client", ignore=left_out)
        yield folder


def tool(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of one of the packages in a folder of the workshop."""
    command = next(
        path
        for parent in folder.parents
        if (path := parent / "node_modules" / ".bin" / name).exists()
    )
    return subprocess.run(
        [str(command), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
