"""The command that fuzzes: what it finds is shrunk, kept, and can be run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis.stateful import RuleBasedStateMachine, rule

from scripts.fuzz import __main__ as command
from scripts.fuzz import running
from scripts.fuzz.choices import Choices
from scripts.fuzz.running import Target, load, run


def refuse_sevens(choices: Choices) -> None:
    """Fail for some cases, as a target does that has found something."""
    numbers = [choices.below(10) for _ in choices.times(20)]
    assert numbers.count(7) < 2, f"two sevens in {numbers}"


def accept_anything(choices: Choices) -> None:
    """Find nothing."""
    choices.bytes(9)


class FailingMachine(RuleBasedStateMachine):
    """Fails at once."""

    @rule()
    def step(self) -> None:
        raise KeyError("a step")


ANYTHING = Target("packets", accept_anything, slice=1)
SEVENS = Target("packets", refuse_sevens, slice=1)


def test_what_goes_wrong_is_reported_with_the_smallest_case() -> None:
    report = run(SEVENS, 500, 1)
    assert report.finding == "AssertionError in refuse_sevens: two sevens in [7, 7]"
    assert "Draw 2: 7" in report.details


def test_cases_go_on_in_rounds_until_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_MOST_IN_ROUND", 150)
    report = run(ANYTHING, 400, 1)
    assert report.cases >= 400


def test_no_round_begins_when_the_time_is_over() -> None:
    report = run(ANYTHING, 10_000, 1, seconds=0)
    assert report.cases < 10_000


def test_a_state_machine_is_a_target_too() -> None:
    report = run(Target("membership", FailingMachine, slice=1), 50, 1)
    assert report.cases >= 1
    assert report.finding == "KeyError in step: 'a step'"


def test_a_case_that_does_not_end_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "TIME_LIMIT", 0.05)

    def hang(choices: Choices) -> None:
        while True:
            pass

    report = run(Target("packets", hang, slice=1), 1, 1)
    assert report.finding is not None
    assert "does not end" in report.finding


def test_a_case_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CPU_LIMIT", -1.0)
    report = run(ANYTHING, 1, 1)
    assert report.finding is not None
    assert "has taken" in report.finding


@pytest.mark.parametrize("target", [SEVENS, Target("packets", FailingMachine, slice=1)])
def test_the_command_keeps_the_case_and_runs_it_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    target: Target,
) -> None:
    monkeypatch.setattr(command, "load", lambda name: target)
    findings = ["--findings", str(tmp_path)]
    assert command.main(["packets", "--cases", "500", "--seed", "1", *findings]) == 1
    assert "something found" in capsys.readouterr().out
    path = tmp_path / "packets.txt"
    finding = path.read_text().splitlines()[0]
    assert command.main(["--replay", str(path)]) == 1
    assert finding.partition(": ")[2] in capsys.readouterr().out
    monkeypatch.setattr(command, "load", load)
    assert command.main(["--replay", str(path)]) == 0


def test_a_file_without_a_case_cannot_be_run_again(tmp_path: Path) -> None:
    path = tmp_path / "packets.txt"
    assert command.main(["--replay", str(path)]) == 2
    path.write_text("nothing")
    assert command.main(["--replay", str(path)]) == 2
    path.rename(tmp_path / "other.txt")
    assert command.main(["--replay", str(tmp_path / "other.txt")]) == 2


def test_the_command_succeeds_where_nothing_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["packets", "--cases", "50", "--findings", str(tmp_path)]
    assert command.main(arguments) == 0
    assert "nothing found" in capsys.readouterr().out


def test_a_target_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit):
        command.main(["no-such-target"])


def test_what_is_split_is_whole_together() -> None:
    def check(choices: Choices) -> None:
        data = choices.bytes(40)
        pieces = choices.split(data, 5)
        assert b"".join(pieces) == data
        assert len(pieces) <= 5
        assert all(pieces)

    assert run(Target("packets", check, slice=1), 200, 1).finding is None
