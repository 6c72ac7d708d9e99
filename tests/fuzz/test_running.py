"""The command that fuzzes: what it finds is made small, kept, and can be run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.fuzz import __main__ as command
from scripts.fuzz import guided_cases, watch
from scripts.fuzz.findings import Finding, run_case, shrunk, target_of
from scripts.fuzz.hypothesis_cases import run_hypothesis
from scripts.fuzz.random_cases import run_random
from scripts.fuzz.target import Target, load


def refuse_sevens(case: bytes) -> None:
    """Fail for some cases, as a target does that has found something."""
    assert case.count(7) < 2, "two sevens"


SEVENS = Target("session", refuse_sevens, max_size=200, slice=1)


def test_what_goes_wrong_is_reported_with_the_smallest_case() -> None:
    report = run_random(SEVENS, 500, seed=1)
    (finding,) = report.findings
    assert finding.case == b"\x07\x07"
    assert finding.what == "AssertionError in refuse_sevens: two sevens"


def test_a_case_is_only_shrunk_to_one_that_fails_alike() -> None:
    def check(case: bytes) -> None:
        if case.startswith(b"a"):
            raise KeyError("something else")
        assert b"b" not in case

    target = Target("session", check, max_size=10, slice=1)
    found = run_case(target, b"xxabxx")
    assert found is not None
    assert shrunk(target, found).case == b"b"


def test_hypothesis_finds_the_smallest_case_by_itself() -> None:
    def check(case: bytes) -> None:
        assert len(case) < 3

    report = run_hypothesis(Target("session", check, max_size=50, slice=1), 2_000, 1)
    (finding,) = report.findings
    assert finding.case == bytes(3)


def test_a_case_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_HANGING", 0.05)

    def hang(case: bytes) -> None:
        while True:
            pass

    finding = run_case(Target("session", hang, max_size=1, slice=1), b"")
    assert finding is not None
    assert "does not end" in finding.what


def test_a_saved_case_says_which_target_it_is_for(tmp_path: Path) -> None:
    path = Finding("packet-text", b"abc", "what", "details").save(tmp_path)
    assert path.read_bytes() == b"abc"
    assert target_of(path) == "packet-text"
    assert "details" in path.with_suffix(".txt").read_text()


def test_the_command_fails_and_writes_the_case_where_something_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load", lambda name: SEVENS)
    arguments = ["session", "--cases", "500", "--seed", "1", "--findings", str(tmp_path)]
    assert command.main(arguments) == 1
    (path,) = tmp_path.glob("*.case")
    assert "session (random): 500 cases" in capsys.readouterr().out
    assert command.main(["--replay", str(path)]) == 1
    monkeypatch.setattr(command, "load", load)
    assert command.main(["--replay", str(path)]) == 0


def test_the_command_succeeds_where_nothing_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["payload", "--cases", "50", "--findings", str(tmp_path)]
    assert command.main(arguments) == 0
    assert "payload (random): 50 cases" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit):
        command.main(["no-such-target"])


@pytest.mark.skipif(not guided_cases.available(), reason="atheris is not installed")
def test_atheris_runs_a_target() -> None:
    report = guided_cases.run_guided(load("packet-text"), 300, 1)
    assert report.findings == []
    assert report.cases >= 300
    assert report.memory_after > 0
