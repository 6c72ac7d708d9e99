from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import gbs_actor.web
from tests.node_packages import install, locked, node_and_npm

CLIENT = Path(gbs_actor.web.__file__).parent / "client"
HERE = Path(__file__).parent / "client"


@pytest.fixture(scope="session")
def workshop(pytestconfig: pytest.Config) -> Path:
    """A folder with the packages that the client is checked and built with, and a copy of it."""
    assert pytestconfig.cache is not None
    _, npm = node_and_npm()
    folder = pytestconfig.cache.mkdir("client-workshop")
    with locked(folder):
        shutil.copy(HERE / "package.json", folder)
        shutil.rmtree(folder / "client", ignore_errors=True)
        shutil.copytree(
            CLIENT, folder / "client", ignore=shutil.ignore_patterns("node_modules", "types")
        )
    install(npm, folder)
    return folder
