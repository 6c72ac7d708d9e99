"""The scripts find a Python that works, install only what is out of date, and report failures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has sourced ``scripts/environment``."""
    return subprocess.run(
        ["/bin/sh", "-eu", "-c", f'. "{SCRIPTS}/environment"\n{script}'],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with what the scripts use and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("cat", "cksum", "dirname", "mkdir", "id", "uname"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def test_names_that_end_in_an_error_are_passed_over(tmp_path: Path, tools: Path) -> None:
    shims = tmp_path / "shims"
    for name in ("python3.13", "python3.12"):
        program(shims, name, "echo 'version not installed' >&2; exit 127")
    good = program(shims, "python3.11", f'exec "{sys.executable}" "$@"')
    result = shell("find_python", PATH=f"{shims}:{tools}")
    assert result.stdout == "python3.11\n"
    assert good.exists()


def test_a_python_that_is_named_goes_first(tmp_path: Path, tools: Path) -> None:
    named = program(tmp_path / "own", "python", f'exec "{sys.executable}" "$@"')
    result = shell("find_python", PATH=str(tools), GBS_PYTHON=str(named))
    assert result.stdout == f"{named}\n"


def test_a_python_that_is_too_old_is_passed_over(tmp_path: Path, tools: Path) -> None:
    shims = tmp_path / "shims"
    program(shims, "python3.13", "exit 1  # what the check of the version gives")
    program(shims, "python3", f'exec "{sys.executable}" "$@"')
    assert shell("find_python", PATH=f"{shims}:{tools}").stdout == "python3\n"


def checkout(tmp_path: Path) -> Path:
    """A checkout with an environment that works and notes what pip is asked for."""
    root = tmp_path / "checkout"
    python = program(
        root / ".venv" / "bin",
        "python",
        f'case "$*" in *install*) printf "%s\\n" "$*" >>"{root}/pip.log" ;; esac',
    )
    assert os.access(python, os.X_OK)
    (root / "pyproject.toml").write_text("[project]\n")
    return root


def prepare(root: Path, tools: Path, extras: str = "") -> None:
    result = shell(f'root="{root}"; prepare "{extras}"', PATH=str(tools))
    assert result.returncode == 0, result.stderr


def installed(root: Path) -> list[str]:
    log = root / "pip.log"
    return [line.split()[-1] for line in log.read_text().splitlines()] if log.exists() else []


def test_the_second_start_installs_nothing(tmp_path: Path, tools: Path) -> None:
    root = checkout(tmp_path)
    prepare(root, tools)
    prepare(root, tools)
    assert installed(root) == [str(root)]


def test_changed_metadata_are_installed_again(tmp_path: Path, tools: Path) -> None:
    root = checkout(tmp_path)
    prepare(root, tools)
    (root / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    prepare(root, tools)
    assert len(installed(root)) == 2


def test_a_checkout_that_was_moved_is_installed_again(tmp_path: Path, tools: Path) -> None:
    root = checkout(tmp_path)
    prepare(root, tools)
    moved = root.rename(tmp_path / "moved")
    root.mkdir()  # where the log of the pretended pip goes
    prepare(moved, tools)
    assert installed(root) == [str(moved)]


def test_what_the_tests_need_serves_the_server_too(tmp_path: Path, tools: Path) -> None:
    root = checkout(tmp_path)
    prepare(root, tools, "[test,check]")
    prepare(root, tools)
    assert installed(root) == [f"{root}[test,check]"]


def test_the_tests_need_more_than_the_server(tmp_path: Path, tools: Path) -> None:
    root = checkout(tmp_path)
    prepare(root, tools)
    prepare(root, tools, "[test,check]")
    assert installed(root) == [str(root), f"{root}[test,check]"]


def test_a_failed_installation_is_tried_again(tmp_path: Path, tools: Path) -> None:
    root = checkout(tmp_path)
    python = root / ".venv" / "bin" / "python"
    working = python.read_text()
    python.write_text('#!/bin/sh\ncase "$*" in *install*) exit 1 ;; esac\n')
    failed = shell(f'root="{root}"; prepare ""', PATH=str(tools))
    assert failed.returncode == 1
    assert "The installation failed" in failed.stderr
    python.write_text(working)
    prepare(root, tools)
    assert installed(root) == [str(root)]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A checkout whose checks and tests note what they are run with, and succeed."""
    root = checkout(tmp_path)
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("fuzz", "bench"))
    for name in ("python", "ruff", "mypy", "lint-imports"):
        program(root / ".venv" / "bin", name, f'printf "%s\\n" "{name} $*" >>"{root}/log"')
    return root


def run_suite(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``scripts/test``."""
    return subprocess.run(
        [root / "scripts" / "test", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def noted(root: Path, program: str) -> list[str]:
    lines = (root / "log").read_text().splitlines()
    return [line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")]


def pytest_arguments(root: Path) -> str:
    (line,) = [line for line in noted(root, "python") if line.startswith("-m pytest")]
    return line


def test_all_tests_run_side_by_side_without_coverage(suite: Path) -> None:
    result = run_suite(suite)
    assert (result.returncode, result.stderr.splitlines()[-1]) == (0, "All checks passed.")
    assert " -n " in pytest_arguments(suite)
    assert "--cov" not in pytest_arguments(suite)
    assert noted(suite, "mypy")
    assert noted(suite, "lint-imports")


def test_the_fast_run_leaves_the_faults_out(suite: Path) -> None:
    assert run_suite(suite, "--fast").returncode == 0
    assert "-m not faults -n " in pytest_arguments(suite)


def test_arguments_go_to_one_pytest(suite: Path) -> None:
    assert run_suite(suite, "tests/rooms", "-x").returncode == 0
    assert pytest_arguments(suite).endswith(" tests/rooms -x")
    assert " -n " not in pytest_arguments(suite)


def test_coverage_is_measured_where_it_is_asked_for(suite: Path) -> None:
    assert run_suite(suite, TEST_COVERAGE="1").returncode == 0
    assert "--cov" in pytest_arguments(suite)
    assert " -n " in pytest_arguments(suite)


@pytest.mark.parametrize(
    ("name", "step"),
    [("ruff", "ruff"), ("mypy", "mypy"), ("lint-imports", "imports"), ("python", "pytest")],
)
def test_one_failure_fails_the_run_and_hides_no_other(suite: Path, name: str, step: str) -> None:
    fail = 'case "$*" in *pip*|"-c "*) ;; *) echo "it is wrong"; exit 1 ;; esac'
    program(suite / ".venv" / "bin", name, fail)
    result = run_suite(suite)
    assert result.returncode == 1
    assert step in result.stderr.splitlines()[-1]
    assert "it is wrong" in result.stdout + result.stderr
    others = {"ruff", "mypy", "lint-imports", "python"} - {name}
    assert all(noted(suite, other) for other in others)
