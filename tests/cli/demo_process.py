"""The demo as a newcomer meets it: a process of its own, no setting but the port."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.server_process import ROOT

CLI = [sys.executable, "-m", "gbs_actor.cli"]


def environment(data: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GBS_")}
    return {**clean, "PYTHONPATH": str(ROOT), "GBS_DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(*arguments: str, data: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command line; kill it if the block leaves it behind."""
    process = subprocess.Popen(
        [*CLI, *arguments],
        env=environment(data),
        cwd=data.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Return standard output up to and with the line that matches."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if re.search(pattern, line):
            return text
    assert process.stderr is not None
    raise AssertionError(f"{pattern!r} did not come\n{text}\n{process.stderr.read()}")


@dataclass
class Demo:
    """A running demo and what it said."""

    data: Path
    banner: str

    def __getitem__(self, pattern: str) -> str:
        match = re.search(pattern, self.banner)
        assert match, self.banner
        return match[1]

    @property
    def url(self) -> str:
        return self[r"gbs-actor is up: (\S+)"]

    def get(self, path: str, token: str) -> object:
        request = urllib.request.Request(
            self.url + path, headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
