"""What the command refuses, and in which order it measures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import trio

from scripts.bench import __main__ as command
from scripts.bench.installation import Installation, SetUpFailed, Stamp
from scripts.bench.rounds import Plan, raise_descriptor_limit
from scripts.bench.rows import ROWS
from scripts.bench.soak import Soaked


@pytest.fixture(autouse=True)
def restored_logs() -> Iterator[None]:
    """Log as before once the command has silenced the logs of its process."""
    yield
    logging.disable(logging.NOTSET)
    structlog.reset_defaults()


def test_the_servers_of_a_row_follow_each_other_and_take_turns_in_coming_first() -> None:
    rows = [ROWS["joins"], ROWS["fan-out-50"]]
    turns = Plan(rows, ["ours", "node", "bare"], rounds=2).turns()
    assert [(number, row.name, server) for number, row, server in turns] == [
        (0, "joins", "ours"),
        (0, "joins", "node"),
        (0, "fan-out-50", "ours"),
        (0, "fan-out-50", "node"),
        (0, "fan-out-50", "bare"),
        (1, "joins", "node"),
        (1, "joins", "ours"),
        (1, "fan-out-50", "node"),
        (1, "fan-out-50", "bare"),
        (1, "fan-out-50", "ours"),
    ]


def test_all_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(ROWS)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rows", "joins,elsewhere"], "'elsewhere' is none of lone-edit"),
        (["--peers", "deno"], "'deno' is none of node, python, bare"),
        (["--rounds", "0"], "at least 1"),
        (["--soak", "-1"], "above 0"),
        (["--against", "/nonexistent"], "is no checkout"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert complaint in capsys.readouterr().err


def test_missing_results_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--from", str(tmp_path / "none.json")]) == 1
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("programs", "peers", "complaint"),
    [
        ([], [], "cc is not installed. The load generator is written in C: install a compiler"),
        (["cc"], ["node"], "npm is not installed. Install Node.js with npm, or leave the peer out"),
        (["cc", "npm"], ["node"], "node is not installed. Install Node.js, or leave the peer out"),
    ],
)
def test_a_missing_program_is_named_with_the_way_out(
    programs: list[str],
    peers: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in programs:  # each does nothing, successfully
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CC", raising=False)
    installation = Installation(tmp_path / "folder")
    with pytest.raises(SetUpFailed) as refused:
        trio.run(installation.set_up, peers, lambda _: None)
    assert str(refused.value).startswith(complaint)


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'no epoll.h' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(SetUpFailed, match=r"(?s)failed:.*no epoll\.h"):
        trio.run(Installation(tmp_path / "folder").set_up, [], lambda _: None)


def test_what_was_made_from_something_else_is_made_again(tmp_path: Path) -> None:
    made = Stamp(tmp_path / "stamp", ["a", "b"])
    assert not made.matches()
    made.write()
    assert made.matches()
    assert not Stamp(tmp_path / "stamp", ["ab"]).matches()


def test_a_row_that_needs_more_descriptors_than_there_are_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 4_096))
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    assert raise_descriptor_limit([ROWS["joins"]]) is None
    complaint = raise_descriptor_limit([ROWS["joins"], ROWS["idle-10000"]])
    assert complaint is not None
    assert complaint.startswith(
        "The row idle-10000 needs 10,300 open files, and the limit is 4,096"
    )


def test_a_soak_fails_where_something_grows_differs_or_remains() -> None:
    good = Soaked(memory=[50, *[100] * 7], descriptors_before=20, descriptors_after=20)
    assert all(good.checks().values())
    bad = Soaked(
        memory=[100] * 6 + [120] * 2,
        descriptors_before=20,
        descriptors_after=21,
        different=["client 1 in a"],
    )
    bad.errors["end of file"] += 1
    assert not any(bad.checks().values())
