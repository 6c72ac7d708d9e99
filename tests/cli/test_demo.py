"""The demo as a newcomer meets it: a process of its own, no setting but the port."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gbs_actor.auth.signing import SECRET_FILE
from tests.e2e.server_process import ROOT, data_folder

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


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with data_folder() as data, running("serve", "--demo", "--port", "0", data=data) as process:
        yield Demo(data, read_until(process, r"^  \}\);$"))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_banners_token_reads_the_list(demo: Demo) -> None:
    path = demo[r"(/api/v1/retreat/\S+)"]
    answer = demo.get(path, demo[r"export TOKEN=(\S+)"])
    assert isinstance(answer, dict)
    assert len(answer["userRetreatGbsLineups"]) == 80


def test_the_banners_other_token_is_an_operators(demo: Demo) -> None:
    assert demo.get("/admin/rooms", demo[r"export ADMIN=(\S+)"]) is not None


def test_the_secret_is_kept_for_the_next_start(demo: Demo) -> None:
    made = subprocess.run(
        [*CLI, "token", "--user-id", "9"],
        env=environment(demo.data),
        cwd=demo.data.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (demo.data / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    assert demo.get("/api/v1/retreat/2024-summer/line-up/user-lineups", made.stdout.strip())


def test_tail_makes_its_own_token_and_shows_the_room(demo: Demo) -> None:
    with running("tail", "2024-winter", "--url", demo.url, data=demo.data) as process:
        seen = read_until(process, r"the list: 80 people")
        seen += read_until(process, r"in the room: .*gbs-actor tail")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_tail_as_json_gives_rows_that_machines_read(demo: Demo) -> None:
    with running("tail", "2024-winter", "--json", "--url", demo.url, data=demo.data) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(80)]
    assert len({row["userId"] for row in rows}) == 80


def test_tail_of_a_retreat_that_is_not_there_is_one_sentence(demo: Demo) -> None:
    with running("tail", "nowhere", "--url", demo.url, data=demo.data) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"Error: .*RETREAT_NOT_FOUND.*\n", err)


def test_tail_with_a_wrong_token_is_one_sentence(demo: Demo) -> None:
    arguments = ("tail", "2024-winter", "--url", demo.url, "--token", "wrong")
    with running(*arguments, data=demo.data) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err == "Error: Invalid token (INVALID_TOKEN)\n"


def test_a_second_server_on_the_same_data_is_refused_in_one_sentence(demo: Demo) -> None:
    with running("serve", "--demo", "--port", "0", data=demo.data) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert re.search(r"(?m)^Error: another server already runs the database in .*$", err)
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_one_sentence(demo: Demo) -> None:
    port = demo.url.rpartition(":")[2]
    with data_folder() as data, running("serve", "--demo", "--port", port, data=data) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert re.search(rf"(?m)^Error: 127.0.0.1:{port}: .*[Aa]ddress already in use", err)
    assert "Traceback" not in err
