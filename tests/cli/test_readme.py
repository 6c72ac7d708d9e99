"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.demo_process import Demo, environment

README = Path(__file__).parents[2] / "README.md"
PARTS = README.read_text(encoding="utf-8")


def example(heading: str) -> str:
    """The first Python block under a heading."""
    section = PARTS.partition(f"### {heading}")[2]
    match = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert match
    return match[1]


def run(code: str, **variables: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(README), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_three_tests_for_test_suites_pass(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(example("In tests of your own"), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "trio_mode=true", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "3 passed" in result.stdout, result.stdout


def test_the_client_example_moves_somebody(demo: Demo) -> None:
    output = run(example("From Python"), GBS_URL=demo.url, TOKEN=demo[r"export TOKEN=(\S+)"])
    assert output.startswith("7 ClientStatistics(connected=True")


def test_the_plain_websocket_example_moves_somebody(demo: Demo) -> None:
    code = example("With a plain WebSocket")
    output = run(code, GBS_URL=demo.url, TOKEN=demo[r"export TOKEN=(\S+)"]).splitlines()
    assert re.fullmatch(r"updated \d+ 8", output[-2])
    assert re.fullmatch(r"OK \d+", output[-1])


def commands(heading: str) -> list[str]:
    """The shell commands under a heading, each with the lines it goes on over."""
    section = re.split(
        r"^##", PARTS.partition(f"### {heading}")[2], maxsplit=1, flags=re.MULTILINE
    )[0]
    return re.findall(r"^    curl (?:.*\\\n)*.*$", section, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_http_examples_read_the_list_and_move_somebody(demo: Demo) -> None:
    answers = []
    for command in commands("Over HTTP"):
        result = subprocess.run(
            ["sh", "-c", command.replace("http://127.0.0.1:8080", demo.url)],
            env={**os.environ, "TOKEN": demo[r"export TOKEN=(\S+)"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answers.append(json.loads(result.stdout))
    listed, moved = answers
    assert len(listed["userRetreatGbsLineups"]) == 80
    assert (moved["userRetreatGbsLineup"]["id"], moved["userRetreatGbsLineup"]["gbsNumber"]) == (
        3,
        7,
    )


@pytest.mark.parametrize("script", ["scripts/run", "scripts/test"])
def test_its_two_commands_are_there_and_executable(script: str) -> None:
    assert f"\n    {script}\n" in PARTS
    assert (README.parent / script).stat().st_mode & 0o111


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:gbs_actor|tests|scripts|config)/[\w./]+)`", PARTS))
    assert named
    assert [name for name in sorted(named) if not (README.parent / name).exists()] == []
