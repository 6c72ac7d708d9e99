"""The commands ``export``, ``import``, ``history`` and ``undo``, against a running server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner, Result

from gbs_actor.cli.app import app
from gbs_actor.cli.line_up_output import MOST_LINES, write_preview
from tests.cli.conftest import Command
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

GROUP, CURRENT_LEADER = 7, 14
"""Columns of an export, from 1."""
LINEUPS = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as running:
        yield running


@pytest.fixture
def run(command: Command, server: ServerProcess) -> Command:
    """Run a command as an editor."""

    def line_up(*arguments: str, token: str = token()) -> Result:
        return command(*arguments, GBS_URL=server.url, GBS_TOKEN=token)

    return line_up


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(server: ServerProcess) -> dict[int, dict[str, Any]]:
    listed = server.get(LINEUPS, token())["userRetreatGbsLineups"]
    return {row["id"]: row for row in listed}


def edit(path: Path, change: Callable[[Any], None]) -> None:
    workbook = openpyxl.load_workbook(path)
    change(workbook.worksheets[0])
    workbook.save(path)


def exported(run: Command) -> Path:
    path = Path("line-up.xlsx")
    assert "line-up.xlsx: " in ok(run("export", RETREAT, str(path)))
    return path


def free_rows(sheet: Any) -> list[int]:
    """The rows of people who lead nobody."""
    return [row for row in range(2, sheet.max_row + 1) if sheet.cell(row, 5).value != "O"]


def test_an_export_that_is_imported_changes_nothing(run: Command) -> None:
    path = exported(run)
    assert "Nothing to change." in ok(run("import", RETREAT, str(path)))


def test_exactly_the_edited_cells_are_shown_applied_recorded_and_undone(
    run: Command, server: ServerProcess
) -> None:
    path = exported(run)
    before = rows(server)
    edited: dict[int, int] = {}

    def move(sheet: Any) -> None:
        for row in free_rows(sheet)[:9]:
            sheet.cell(row, GROUP).value = 500 + row
            edited[int(sheet.cell(row, 1).value)] = 500 + row

    edit(path, move)
    tried = run("import", RETREAT, str(path))  # nobody answers
    assert tried.exit_code == 1
    assert "--yes" in tried.stderr
    assert rows(server) == before
    said = ok(run("import", RETREAT, str(path), "--yes"))
    assert said.count("조번호") == len(edited)
    assert f"{len(edited)} people changed" in said
    after = rows(server)
    assert {id_: row["gbsNumber"] for id_, row in after.items()} == {
        id_: edited.get(id_, row["gbsNumber"]) for id_, row in before.items()
    }
    page = json.loads(ok(run("history", RETREAT, "-n", "1", "-o", "json")))
    (change,) = page["changes"]
    assert change["kind"] == "bulk-assign"
    assert len(change["after"]) >= len(edited)
    assert f"r{change['revision']} " in ok(run("history", RETREAT))
    assert "people changed" in ok(run("undo", RETREAT, f"r{change['revision']}", "--yes"))
    numbers = {id_: row["gbsNumber"] for id_, row in rows(server).items()}
    assert numbers == {id_: row["gbsNumber"] for id_, row in before.items()}


def test_a_conflict_is_listed_and_can_be_left_out(run: Command, server: ServerProcess) -> None:
    stale = exported(run).rename("stale.xlsx")
    fresh = exported(run)

    def set_leaders(name: str, count: int) -> Callable[[Any], None]:
        def change(sheet: Any) -> None:
            for row in free_rows(sheet)[:count]:
                sheet.cell(row, CURRENT_LEADER).value = name

        return change

    edit(stale, set_leaders("가리더", 3))
    edit(fresh, set_leaders("나리더", 1))
    ok(run("import", RETREAT, str(fresh), "--yes", token=token(user_id=99)))
    refused = run("import", RETREAT, str(stale), "--yes")
    assert refused.exit_code == 1
    shown, _, listed = refused.stdout.partition("Others have changed 1 person")
    assert "나리더" in shown
    assert "나리더" in listed
    said = ok(run("import", RETREAT, str(stale), "--yes", "--skip-conflicts"))
    assert "2 people changed" in said
    assert "1 left out" in said


def test_a_question_is_asked_first(run: Command, server: ServerProcess) -> None:
    path = exported(run)
    edit(path, lambda sheet: setattr(sheet.cell(free_rows(sheet)[5], GROUP), "value", 777))
    arguments = ["import", RETREAT, str(path), "--url", server.url, "--token", token()]
    no = CliRunner().invoke(app, arguments, input="n\n")
    assert (no.exit_code, "Nothing was changed" in no.stderr) == (1, True)
    yes = CliRunner().invoke(app, arguments, input="y\n")
    assert "1 person changed" in ok(yes)


def test_who_is_missing_is_a_warning_to_be_acknowledged(run: Command) -> None:
    path = exported(run)

    def change(sheet: Any) -> None:
        sheet.cell(free_rows(sheet)[3], CURRENT_LEADER).value = "다리더"
        sheet.delete_rows(free_rows(sheet)[8])

    edit(path, change)
    refused = run("import", RETREAT, str(path), "--yes")
    assert refused.exit_code == 1
    assert "1 warning:" in refused.stdout
    assert "1 person changed" in ok(run("import", RETREAT, str(path), "--yes", "--acknowledge"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("export", "no-such-retreat", "x.xlsx"), "no such retreat"),
        (("export", RETREAT, "/no/such/folder/x.xlsx"), "cannot be written"),
        (("import", RETREAT, "/no/such/file.xlsx"), "cannot be read"),
        (("undo", RETREAT, "yesterday", "--yes"), "neither a revision nor a commandId"),
        (("undo", RETREAT, "r99999", "--yes"), "."),
        (("history", RETREAT, "--token", "x"), "oken"),
        (("export", RETREAT, "x.xlsx", "--url", "http://127.0.0.1:9"), "cannot be reached"),
        (("export", RETREAT, "x.xlsx", "--url", "ftp://here"), "is no URL"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    run: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run(*arguments)
    assert result.exit_code in {1, 2}
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_a_sheet_that_is_none_is_refused_in_korean(run: Command) -> None:
    Path("broken.xlsx").write_bytes(b"PK\x03\x04 broken")
    refused = run("import", RETREAT, "broken.xlsx", "--yes")
    assert refused.exit_code == 1
    assert "손상되어" in refused.stderr


def test_a_template_is_a_spreadsheet(run: Command) -> None:
    ok(run("export", RETREAT, "template.xlsx", "--template"))
    assert openpyxl.load_workbook(io.BytesIO(Path("template.xlsx").read_bytes())).worksheets


def test_no_text_acts_on_the_terminal_and_long_tables_are_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = "\x1b]0;x\x07[red]\x1b[31m\u202e"
    change = {"row": 2, "name": hostile, "field": "gbsNumber", "from": None, "to": 7}
    newer = {"code": "CONFLICT", "field": "isLeader", "theirs": hostile, "changedBy": hostile}
    change |= {"registrationId": 1, "conflict": newer}
    problem = {"row": 3, "name": hostile, "message": hostile}
    write_preview(
        {
            "layout": {"sheet": hostile, "headerRow": 1},
            "changes": [change] * (MOST_LINES + 5),
            "blocks": [problem],
            "warnings": [],
            "notices": [problem],
        }
    )
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
    assert "[red]" in shown
    assert "and 5 more" in shown
