"""Files as people send them, read in a real child process: the right cells or one sentence."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import trio
import trio.testing
import xlsxwriter

from gbs_actor.sheets import reader as sheet_reader
from gbs_actor.sheets.cell import DateCell, Sheet
from gbs_actor.sheets.child import LONGEST_CELL
from gbs_actor.sheets.reader import ReadLimits, SheetReader
from gbs_actor.sheets.unreadable import Unreadable, UnreadableCode
from tests.sheets.making import (
    exported,
    is_without_effect,
    people,
    previewed,
    saved,
    with_sheet,
    workbook,
)


async def read(data: bytes, **limits: Any) -> tuple[Sheet, ...]:
    return await SheetReader(ReadLimits(**limits)).read(data)


async def code_of(data: bytes, **limits: Any) -> UnreadableCode:
    with pytest.raises(Unreadable) as caught:
        await read(data, **limits)
    assert caught.value.message.endswith((".", "!"))
    return caught.value.code


def archive(**files: str | bytes) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return output.getvalue()


def sheet_xml(cells: str) -> str:
    return (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{cells}</sheetData></worksheet>"
    )


# -- what is read


async def test_an_export_is_read_back() -> None:
    rows = people()
    preview = previewed(await read(exported(rows)), rows)
    assert is_without_effect(preview)


async def test_cells_of_each_kind() -> None:
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    sheet.title = "표"
    values = ["가", 778, 1.5, True, date(2026, 3, 1), datetime(2026, 3, 1, 5), time(3, 4), "=1+1"]
    for place, value in enumerate(values):
        sheet.cell(3, 2 + place).value = value
    (read_sheet,) = await read(saved(made))
    assert (read_sheet.name, read_sheet.visible) == ("표", True)
    (line,) = read_sheet.lines
    assert line.number == 3
    # openpyxl writes formulas without their results.
    assert line.cells == (
        None,
        *("가", 778.0, 1.5, True),
        *map(DateCell, ("2026-03-01", "2026-03-01T05:00:00", "03:04:00")),
    )


async def test_formulas_are_their_results() -> None:
    output = io.BytesIO()
    with xlsxwriter.Workbook(output) as made:
        sheet = made.add_worksheet()
        sheet.write_formula("A1", "=770+8", None, 778)
        sheet.write_formula("B1", '="가"&"나"', None, "가나")
        sheet.write_formula("C1", "=NA()", None, "#N/A")
        sheet.write_string("D1", "끝")
    ((line,),) = [each.lines for each in await read(output.getvalue())]
    assert line.cells[0] == 778.0
    assert line.cells[1] == "가나"
    assert line.cells[3] == "끝"


async def test_hidden_rows_columns_and_sheets_are_read_like_others() -> None:
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    sheet.append(["가", "나"])
    sheet.append(["다", "라"])
    sheet.row_dimensions[2].hidden = True
    sheet.column_dimensions["B"].hidden = True
    made.create_sheet("숨김").append([1])
    made.worksheets[1].sheet_state = "hidden"
    shown, hidden = await read(saved(made))
    assert [line.cells for line in shown.lines] == [("가", "나"), ("다", "라")]
    assert (hidden.visible, hidden.lines[0].cells) == (False, (1.0,))


async def test_merged_cells_have_their_value_once() -> None:
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    sheet["B1"] = "제목"
    sheet.merge_cells("B1:E2")
    ((line,),) = [each.lines for each in await read(saved(made))]
    assert line.cells == (None, "제목")


async def test_charts_are_skipped() -> None:
    output = io.BytesIO()
    with xlsxwriter.Workbook(output) as made:
        made.add_worksheet("명단").write_string("A1", "가")
        chart = made.add_chart({"type": "line"})
        chart.add_series({"values": "=명단!$A$1:$A$2"})
        made.add_chartsheet("그림").set_chart(chart)
    assert [each.name for each in await read(output.getvalue())] == ["명단"]


async def test_long_sheets_are_read_whole_and_in_order() -> None:
    rows: list[list[object]] = [[n, "한\n줄"] for n in range(600)]
    first, second, third = await read(workbook({"가": rows, "나": [[-1]], "다": []}))
    assert [line.number for line in first.lines] == list(range(1, 601))
    assert [line.cells for line in first.lines] == [(float(n), "한\n줄") for n in range(600)]
    assert [line.cells for line in second.lines] == [(-1.0,)]
    assert (third.name, third.lines) == ("다", ())


async def test_other_tasks_run_while_a_long_sheet_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = 0
    decoded: list[tuple[int, int]] = []

    class Recorder:
        def decode(self, written: bytes) -> object:
            part = decoder.decode(written)
            decoded.append((len(part.lines), turns))
            return part

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    decoder = sheet_reader._decoder
    monkeypatch.setattr(sheet_reader, "_decoder", Recorder())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        await read("\n".join(["가,나"] * 2_000).encode())
        nursery.cancel_scope.cancel()
    assert sum(lines for lines, _ in decoded) == 2_000
    assert max(lines for lines, _ in decoded) <= 250
    # Trio shuffles those that are ready: the first or the last turn may be without the other task.
    assert decoded[-1][1] - decoded[0][1] >= len(decoded) - 2


@pytest.mark.parametrize(
    "data",
    ["가,나\r\n1,\r\n", "가\t나\r\n1\t\r\n", "\ufeff가;나\n1;\n", '"가","나"\n\n"1"\n'],
)
async def test_text(data: str) -> None:
    (sheet,) = await read(data.encode())
    assert sheet.name == ""
    assert [line.cells for line in sheet.lines] == [("가", "나"), ("1",)]


async def test_text_in_cp949_and_with_line_breaks_in_cells() -> None:
    (sheet,) = await read('이름,비고\r\n똠방,"한\n줄, 더"\r\n'.encode("cp949"))
    assert sheet.lines[1].cells == ("똠방", "한\n줄, 더")


# -- what is not


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b" \r\n\t\r\n", b",,\n,,\n"])
async def test_an_empty_text(data: bytes) -> None:
    assert await code_of(data) == UnreadableCode.EMPTY


async def test_an_empty_workbook() -> None:
    assert await code_of(saved(openpyxl.Workbook())) == UnreadableCode.EMPTY


async def test_a_file_over_the_limit() -> None:
    assert await code_of(b"x" * (5 * 2**20 + 1)) == UnreadableCode.TOO_LARGE


@pytest.mark.parametrize("files", [{"명단.csv": "가,나"}, {"word/document.xml": "<a/>"}, {}])
async def test_a_renamed_archive(files: dict[str, str]) -> None:
    assert await code_of(archive(**files)) == UnreadableCode.OTHER_ARCHIVE


async def test_an_excel_binary_workbook() -> None:
    files: dict[str, str | bytes] = {"[Content_Types].xml": "", "xl/workbook.bin": b"\x83\x01\x00"}
    assert await code_of(archive(**files)) == UnreadableCode.XLSB


@pytest.mark.parametrize("keep", [100, 2_000, -30])
async def test_half_an_upload(keep: int) -> None:
    assert await code_of(exported(people())[:keep]) == UnreadableCode.DAMAGED


async def test_a_workbook_with_broken_xml() -> None:
    assert await code_of(with_sheet("<worksheet><sheetData><row>")) == UnreadableCode.DAMAGED


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"%PDF-1.7\n1 0 obj\n",
        b"<html><table><tr><td>1",
        b'<?xml version="1.0"?><Workbook/>',
        bytes(range(128, 256)),
        b"a,b\0c\n",
    ],
)
async def test_a_file_of_another_format(data: bytes) -> None:
    assert await code_of(data) == UnreadableCode.UNKNOWN_FORMAT


# -- bombs


async def test_two_cells_far_apart() -> None:
    bomb = with_sheet(
        sheet_xml(
            '<row r="1"><c r="A1"><v>1</v></c></row>'
            '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        )
    )
    assert len(bomb) < 6_000
    assert await code_of(bomb) == UnreadableCode.EXPANDS


async def test_a_stray_cell_far_below_costs_no_more_than_the_memory_limit() -> None:
    stray = '<row r="1048576"><c r="Z1048576"><v>1</v></c></row>'  # 27 million cells
    bomb = with_sheet(sheet_xml('<row r="1"><c r="A1"><v>1</v></c></row>' + stray))
    assert await code_of(bomb) == UnreadableCode.EXPANDS


async def test_a_cell_far_to_the_right_is_not_read_but_harms_nobody() -> None:
    (sheet,) = await read(
        with_sheet(sheet_xml('<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>'))
    )
    assert [line.cells for line in sheet.lines] == [(1.0,)]


async def test_rows_that_are_only_formatted_do_not_count() -> None:
    cells = '<row r="1"><c r="A1"><v>1</v></c></row>'
    cells += "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(2, 20_000))
    (sheet,) = await read(with_sheet(sheet_xml(cells)))
    assert len(sheet.lines) == 1


def many_rows(count: int) -> bytes:
    output = io.BytesIO()
    with xlsxwriter.Workbook(output, {"constant_memory": True}) as made:
        sheet = made.add_worksheet()
        for number in range(count):
            sheet.write_row(number, 0, [number, "홍길동", "010-9999-8888", "이서연"])
    return output.getvalue()


async def test_100_000_rows() -> None:
    with pytest.raises(Unreadable) as caught:
        await read(many_rows(100_000))
    assert caught.value.code == UnreadableCode.TOO_MANY_ROWS
    assert caught.value.message == (
        "'Sheet1' 시트의 행이 너무 많습니다. 5,000행까지 읽을 수 있습니다."
    )
    text = "\n".join(["가,나"] * 100_000).encode()
    with pytest.raises(Unreadable, match=r"^행이 너무 많습니다"):
        await read(text)


async def test_compressed_white_space_without_end() -> None:
    bomb = with_sheet(sheet_xml(" " * 2**28))
    assert len(bomb) < 400_000
    assert await code_of(bomb) == UnreadableCode.EXPANDS


async def test_compressed_rows_without_end() -> None:
    bomb = with_sheet(sheet_xml("<row/>" * 2**24))
    assert len(bomb) < 400_000
    assert await code_of(bomb, cpu_time=1) == UnreadableCode.SLOW


async def test_much_text_in_few_cells() -> None:
    text = ("a" * 100_000 + "\n") * 16
    assert await code_of(text.encode(), characters=10**6) == UnreadableCode.EXPANDS


async def test_of_a_cell_only_so_much_is_read_as_can_be_normalized_in_no_time() -> None:
    marks = "\u0315\u0300" * 50_000  # of two kinds: normalizing sorts them, in quadratic time
    for data in (f"이름{marks}\t1".encode(), workbook({"명단": [["이름" + marks[:30_000], 1]]})):
        (sheet,) = await read(data)
        (line,) = sheet.lines
        assert len(str(line.cells[0])) == LONGEST_CELL
        assert len(line.cells) == 2


async def test_an_answer_over_the_limit_ends_the_child() -> None:
    data = ("가나다" * 1000 + "\n").encode() * 20
    reader = SheetReader(Small(characters=10**6))
    with pytest.raises(Unreadable) as caught:
        await reader.read(data)
    assert caught.value.code == UnreadableCode.EXPANDS


class Small(ReadLimits):
    """Limits of a server that believes its child less than the child does."""

    @property
    def output_size(self) -> int:
        return 1_000


# -- the child


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Runs other code in place of the child's."""

    def replace(code: str) -> None:
        script = tmp_path / "child.py"
        script.write_text(code)
        monkeypatch.setattr("gbs_actor.sheets.reader._CHILD", script)

    return replace


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os.abort()", UnreadableCode.EXPANDS),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", UnreadableCode.SLOW),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", UnreadableCode.DAMAGED),
        ("raise SystemExit(3)", UnreadableCode.DAMAGED),
        ("print('{')", UnreadableCode.DAMAGED),
        ("print('[]')", UnreadableCode.DAMAGED),
    ],
)
async def test_whatever_ends_the_child_means_that_the_file_cannot_be_read(
    child: Callable[[str], None], code: str, expected: UnreadableCode
) -> None:
    child(code)
    assert await code_of(b"x") == expected


HANGS = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({pipe!r}).write_text(str(os.getpid()))
time.sleep(60)
"""


async def pid_from(pipe: Path) -> int:
    with trio.fail_after(30):
        return int(await trio.to_thread.run_sync(pipe.read_text, abandon_on_cancel=True))


@pytest.fixture
def hanging(child: Callable[[str], None], tmp_path: Path) -> Path:
    """Lets the child hang; it writes its id into the pipe that is returned."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child(HANGS.format(pipe=str(pipe)))
    return pipe


async def test_a_child_that_hangs_is_killed_at_the_timeout(hanging: Path) -> None:
    pids = []
    async with trio.open_nursery() as nursery:

        async def note() -> None:
            pids.append(await pid_from(hanging))

        nursery.start_soon(note)
        assert await code_of(b"x", timeout=3) == UnreadableCode.SLOW
    assert_is_gone(pids[0])


async def test_cancellation_kills_the_child_and_reaps_it(
    hanging: Path, recwarn: pytest.WarningsRecorder
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SheetReader().read, b"x")
        pid = await pid_from(hanging)
        nursery.cancel_scope.cancel()
    assert_is_gone(pid)
    assert not recwarn.list  # Trio's own way asks first, waits for 5 s, and warns


def assert_is_gone(pid: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_child_does_not_inherit_the_environment(
    child: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GBS_DATABASE_URL", "postgres://secret")
    child(
        "import json, os\n"
        "print(json.dumps({'name': str(dict(os.environ)), 'visible': True, 'lines': []}), end='')"
    )
    (sheet,) = await read(b"x")
    assert "GBS" not in sheet.name


async def test_only_a_few_children_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = []
    counts: set[int] = set()

    async def run(data: bytes, _limits: ReadLimits) -> bytes:
        running.append(data[0])
        counts.add(len(running))
        await trio.testing.wait_all_tasks_blocked()
        running.remove(data[0])
        return b'{"name":"","visible":true,"lines":[]}'

    monkeypatch.setattr("gbs_actor.sheets.reader._output_of_child", run)
    reader = SheetReader(at_once=2)
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(reader.read, bytes([number]))
    assert counts == {1, 2}
