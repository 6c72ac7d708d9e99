from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from gbs_actor.sheets.cell import Line, Sheet
from gbs_actor.sheets.layout import column_name, find_table
from gbs_actor.sheets.schedule import labelled
from tests.sheets.making import HEADER, SCHEDULES

SCHEDULES_BY_LABEL = labelled(SCHEDULES)


def sheet(*rows: Sequence[Any], name: str = "명단", visible: bool = True) -> Sheet:
    lines = tuple(Line(number, tuple(cells)) for number, cells in enumerate(rows, 1) if cells)
    return Sheet(name, visible, lines)


def sentences(*sheets: Sheet) -> list[str]:
    _, problems = find_table(sheets, SCHEDULES_BY_LABEL)
    return [problem.message for problem in problems]


def without(*names: str) -> list[str]:
    return [name for name in HEADER if name not in names]


def test_the_header_may_be_below_titles_and_right_of_empty_columns() -> None:
    shifted = [None, None, *HEADER]
    table, problems = find_table(
        [sheet(["2026 겨울 수양회"], [], ["이름표"], shifted, ["x"])], SCHEDULES_BY_LABEL
    )
    assert table is not None
    assert not problems
    assert table.header.number == 4
    assert table.columns["이름"] == 2 + HEADER.index("이름")
    assert [line.number for line in table.lines] == [5]


def test_the_header_is_within_the_first_8_rows() -> None:
    above = [["제목"]] * 7
    assert find_table([sheet(*above, HEADER)], SCHEDULES_BY_LABEL)[0] is not None
    table, problems = find_table([sheet(*above, ["또"], HEADER)], SCHEDULES_BY_LABEL)
    assert table is None
    assert "처음 8행 안에 머리글이 없습니다" in problems[0].message
    assert "조번호" in problems[0].message
    assert "registrationId" not in problems[0].message


def test_columns_may_be_moved() -> None:
    table, problems = find_table([sheet(HEADER[::-1])], SCHEDULES_BY_LABEL)
    assert table is not None
    assert not problems
    assert table.columns["No."] == len(HEADER) - 1 - HEADER.index("No.")


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("조번호", " 조 번호 "),
        ("조번호", unicodedata.normalize("NFD", "조번호")),
        ("No.", "NO"),
        ("No.", "Ｎｏ．"),
        ("새돌/군인/새가족", "새돌／군인\n／새가족"),
        ("registrationId", "RegistrationID"),
        ("수점", "수 점"),
    ],
)
def test_names_of_columns_are_recognised_however_they_are_typed(name: str, typed: str) -> None:
    header = [typed if each == name else each for each in HEADER]
    table, problems = find_table([sheet(header)], SCHEDULES_BY_LABEL)
    assert table is not None
    assert not problems
    assert table.columns[name] == HEADER.index(name)


def test_each_missing_column_is_named() -> None:
    assert sentences(sheet(without("조번호", "연락처", "수저"))) == [
        "'조번호' 열이 없습니다.",
        "'연락처' 열이 없습니다.",
        "'수저' 열이 없습니다.",
    ]


def test_while_one_is_missing_each_unknown_column_is_named() -> None:
    header = ["조번" if each == "조번호" else each for each in HEADER]
    assert sentences(sheet(["비고", *header])) == [
        "'조번호' 열이 없습니다.",
        "'비고' 열(A)은 알 수 없는 열입니다.",
        "'조번' 열(H)은 알 수 없는 열입니다.",
    ]


def test_columns_that_an_import_does_not_read_may_be_missing() -> None:
    unread = ("registrationId", "revision", "exportId", "No.", "ID", "성별", "전참여부")
    assert not sentences(sheet(without(*unread, "새돌/군인/새가족")))


def test_a_doubled_column_is_named_with_both_places() -> None:
    assert sentences(sheet([*HEADER, "이 름"])) == [
        "'이름' 열이 둘입니다(K, U). 하나만 남겨 주세요."
    ]


def test_a_schedule_of_another_retreat_is_named() -> None:
    assert sentences(sheet([*HEADER, "토점"])) == ["'토점' 열(U)은 이 수양회의 일정이 아닙니다."]


def test_columns_that_people_add_are_shown_and_not_read() -> None:
    table, problems = find_table([sheet(["비고", *HEADER])], SCHEDULES_BY_LABEL)
    assert table is not None
    assert not problems
    columns = table.layout.columns
    assert (columns[0].column, columns[0].title, columns[0].meaning) == ("A", "비고", None)
    assert (columns[7].column, columns[7].title, columns[7].meaning) == ("H", "조번호", "조번호")


def test_of_several_sheets_the_one_with_the_header_is_read() -> None:
    table, problems = find_table(
        [sheet(["조", "합계"], name="통계"), sheet(HEADER, name="명단")], SCHEDULES_BY_LABEL
    )
    assert table is not None
    assert not problems
    assert table.sheet.name == "명단"


@pytest.mark.parametrize(
    "other", [sheet(HEADER, name="숨김", visible=False), sheet(without("조번호"), name="옛것")]
)
def test_a_visible_and_complete_sheet_goes_first(other: Sheet) -> None:
    for sheets in ([other, sheet(HEADER)], [sheet(HEADER), other]):
        table, problems = find_table(sheets, SCHEDULES_BY_LABEL)
        assert table is not None
        assert not problems
        assert table.sheet.name == "명단"


def test_a_hidden_sheet_does_not_stand_in_for_a_visible_one_that_lacks_a_column() -> None:
    hidden = sheet(HEADER, name="숨김", visible=False)
    assert sentences(hidden, sheet(without("조번호"))) == ["'조번호' 열이 없습니다."]


def test_two_equally_good_sheets_block() -> None:
    assert sentences(sheet(HEADER, name="가"), sheet(HEADER, name="나")) == [
        "명단으로 보이는 시트가 여럿입니다(가, 나). 하나만 남겨 주세요."
    ]


@pytest.mark.parametrize(
    ("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")]
)
def test_columns_are_named_as_in_a_spreadsheet(number: int, name: str) -> None:
    assert column_name(number) == name


@pytest.mark.parametrize("sheets", [(), (sheet(),), (sheet(["이름", "연락처"]),)])
def test_without_a_header_there_is_no_table(sheets: Iterable[Sheet]) -> None:
    assert find_table(sheets, SCHEDULES_BY_LABEL)[0] is None
