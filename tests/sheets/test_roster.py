from __future__ import annotations

import io
from typing import Any

import openpyxl
import pytest

from gbs_actor.lineup.records import UserType
from gbs_actor.sheets.problem import Problem, ProblemCode
from gbs_actor.sheets.problem_list import write_problems
from gbs_actor.sheets.roster import write_template
from tests.sheets.making import (
    HEADER,
    LABELS,
    MADE_AT,
    SCHEDULES,
    codes,
    column,
    exported,
    people,
    previewed,
    row,
    rows_of,
)


def opened(data: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]


def test_a_roster_has_the_columns_of_the_existing_page() -> None:
    sheet = opened(exported([row(1)]))
    assert sheet.title == "(꼬리표) 수양회GBS"
    assert [cell.value for cell in sheet[1]] == list(HEADER)


def test_a_row_has_what_the_list_has_of_a_person() -> None:
    person = row(7, 778, leader=True, user_type=UserType.SOLDIER, schedules=(11, 14))
    header, cells = rows_of(exported([person]))
    assert dict(zip(header, cells, strict=True)) == {
        "registrationId": "7",
        "revision": "30",
        "exportId": "e-1",
        "No.": 1,
        "리더": "O",
        "ID": 10_007,
        "조번호": 778,
        "부서": 3,
        "학년": 2,
        "성별": "여",
        "이름": "사람07",
        "연락처": "010-9999-0007",
        "전참여부": None,
        "현리더": "이서연",
        "새돌/군인/새가족": "군인",
        "수점": "O",
        "수저": None,
        "수숙": None,
        "목아": "O",
        "금점": None,
    }


def test_people_are_in_the_order_of_the_list_and_numbered() -> None:
    _, *lines = rows_of(exported([row(3, 1), row(1, 2), row(2)]))
    assert [(cells[3], cells[0]) for cells in lines] == [(1, "3"), (2, "1"), (3, "2")]
    _, *lines = rows_of(exported([row(3, 1), row(1, 2)], lineup_numbers={3: 40, 1: None}))
    assert [cells[3] for cells in lines] == [40, 2]


def test_the_hidden_columns_are_hidden_and_within_the_filter() -> None:
    sheet = opened(exported(people()))
    dimension = sheet.column_dimensions["A"]
    assert (dimension.hidden, dimension.min, dimension.max) == (True, 1, 3)
    assert not sheet.column_dimensions["D"].hidden
    assert sheet.auto_filter.ref == "A1:T13"
    assert sheet.freeze_panes == "A2"


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "+1", "-1", "=cmd|' /C calc'!A0", "{=1}"])
def test_text_is_text_and_no_formula(name: str) -> None:
    sheet = opened(exported([row(1, name=name, current_leader=name)]))
    for heading in ("이름", "현리더"):
        cell = sheet.cell(2, column(heading))
        assert (cell.value, cell.data_type, cell.number_format) == (name, "s", "@")


def fill(sheet: Any, line: int, heading: str) -> Any:
    cell = sheet.cell(line, column(heading))
    return cell.fill.fgColor.rgb if cell.fill.patternType else None


def test_rows_of_leaders_are_tinted() -> None:
    sheet = opened(exported([row(1, 1, leader=True), row(2, 1)]))
    assert fill(sheet, 2, "이름") == fill(sheet, 2, "조번호") is not None
    assert fill(sheet, 3, "이름") is None


def test_schedules_are_coloured_by_day() -> None:
    sheet = opened(exported([row(1, 1, leader=True), row(2, 1, schedules=())]))
    wednesday, thursday, friday = (fill(sheet, 1, label) for label in ("수점", "목아", "금점"))
    assert len({wednesday, thursday, friday, None}) == 4
    for line in (1, 2, 3):
        assert [fill(sheet, line, label) for label in LABELS] == [
            *[wednesday] * 3,
            thursday,
            friday,
        ]


def test_the_template_can_be_read_and_names_nobody_on_the_list() -> None:
    template = write_template(SCHEDULES, MADE_AT)
    header, *lines = rows_of(template)
    assert header == list(HEADER)
    assert all(cells[:3] == [None] * 3 for cells in lines)
    preview = previewed(template, [])
    assert codes(preview) == (["NOT_REGISTERED"] * len(lines), [])


def test_a_list_of_problems_as_a_sheet() -> None:
    problem = Problem(
        ProblemCode.NOT_REGISTERED, "명단에 없습니다.", 12, None, "3", "2", "=이름", "010-1"
    )
    other = Problem(ProblemCode.MISSING_COLUMN, "'조번호' 열이 없습니다.")
    assert rows_of(write_problems([problem, other], MADE_AT)) == [
        ["행", "부서", "학년", "이름", "연락처", "내용"],
        ["12", "3", "2", "=이름", "010-1", "명단에 없습니다."],
        [None, None, None, None, None, "'조번호' 열이 없습니다."],
    ]


def test_files_depend_on_no_other_clock() -> None:
    files = (
        exported(people()),
        write_template(SCHEDULES, MADE_AT),
        write_problems([], MADE_AT),
    )
    for file in files:
        properties = openpyxl.load_workbook(io.BytesIO(file)).properties
        assert {properties.created, properties.modified} == {MADE_AT.replace(tzinfo=None)}
