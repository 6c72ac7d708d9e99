"""Packages of npm that tests need: installed once, in pytest's cache, and shared by test runs."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let no other process into the block that locks the same folder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def node_and_npm() -> tuple[str, str]:
    """Return the paths of both, or skip the test."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    return node, npm


def install(npm: str, folder: Path) -> None:
    """Install what ``package.json`` in a folder names, unless that is done."""
    with locked(folder):
        manifest = (folder / "package.json").read_text()
        installed = folder / "installed"
        if installed.exists() and installed.read_text() == manifest:
            return
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.fail(f"npm could not install {manifest}:\n{result.stderr}")
        installed.write_text(manifest)
