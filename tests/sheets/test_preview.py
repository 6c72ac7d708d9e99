from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gbs_actor.lineup.records import Row
from gbs_actor.sheets.preview import Preview
from tests.sheets.making import (
    EXPORTED,
    HEADER,
    REVISION,
    SCHEDULES,
    codes,
    column,
    edited,
    edits,
    exported,
    is_without_effect,
    people,
    previewed,
    row,
    rows_of,
    workbook,
)

ROWS = people()
EXPORT = exported(ROWS)


def after(edit: Callable[[Any], None], rows: list[Row] = ROWS, **options: Any) -> Preview:
    """Preview the export of the list after somebody has edited it by openpyxl."""
    return previewed(edited(exported(rows), edit), rows, **options)


def put(line: int, name: str, value: Any) -> Callable[[Any], None]:
    """Put a value into a cell; the line of a person is one more than the id, in these tests."""

    def edit(sheet: Any) -> None:
        sheet.cell(line, column(name)).value = value

    return edit


def each_of(*edits: Callable[[Any], None]) -> Callable[[Any], None]:
    def edit(sheet: Any) -> None:
        for each in edits:
            each(sheet)

    return edit


def delete_columns(sheet: Any, *names: str) -> None:
    for name in sorted(names, key=column, reverse=True):
        sheet.delete_cols(column(name))


def delete_hidden(sheet: Any) -> None:
    delete_columns(sheet, "registrationId", "revision", "exportId")


# -- edits


def test_an_export_changes_nothing() -> None:
    preview = previewed(EXPORT, ROWS)
    assert is_without_effect(preview)
    assert preview.sheets == ("(꼬리표) 수양회GBS",)
    assert preview.layout is not None
    assert preview.layout.header_row == 1


def test_an_edited_cell_is_an_edit_of_the_list_as_it_was_exported() -> None:
    preview = after(put(3, "조번호", 7))
    assert msgspec.to_builtins(preview.changes) == (
        {
            "registrationId": 2,
            "field": "gbsNumber",
            "from": 1,
            "to": 7,
            "baseRevision": EXPORTED,
            "exportId": "e-1",
            "row": 3,
            "name": "사람02",
        },
    )
    assert codes(preview) == ([], [])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("조번호", 5.0, {(2, "gbsNumber"): 5}),
        ("조번호", "５", {(2, "gbsNumber"): 5}),
        ("조번호", "5조", {(2, "gbsNumber"): 5}),
        ("조번호", "-", {(2, "gbsNumber"): None}),
        ("조번호", None, {}),
        ("조번호", "  ", {}),
        ("조번호", "1", {}),
        ("리더", "O", {(2, "isLeader"): True}),
        ("리더", "ㅇ", {(2, "isLeader"): True}),
        ("리더", "X", {}),
        ("현리더", "김민수", {(2, "currentLeader"): "김민수"}),
        ("현리더", " 이서연 ", {}),
        ("현리더", unicodedata.normalize("NFD", "이서연"), {}),
        ("현리더", None, {(2, "currentLeader"): ""}),
        ("No.", 99, {}),
        ("ID", 99, {}),
        ("성별", "?", {}),
        ("전참여부", "?", {}),
    ],
)
def test_what_a_cell_means(name: str, value: Any, expected: dict[Any, Any]) -> None:
    preview = after(put(3, name, value))
    assert edits(preview.changes) == expected
    assert codes(preview) == ([], [])


@pytest.mark.parametrize(
    ("name", "value", "noticed"),
    [
        ("ID", 99, False),
        ("부서", 9, True),
        ("부서", "３부", False),
        ("학년", "3학년", True),
        ("성별", "여", True),
        ("성별", " 남 ", False),
        ("전참여부", "X", True),
        ("전참여부", "ㅇ", False),
        ("새돌/군인/새가족", "군인", True),
        ("학년", None, False),
        ("비고", "휠체어", False),
    ],
)
def test_a_cell_that_differs_and_is_not_imported_is_noticed(
    name: str, value: Any, noticed: bool
) -> None:
    preview = after(put(3, name, value) if name in HEADER else add_remarks)
    assert preview.changes == ()
    assert codes(preview) == ([], [])
    sentence = f"'{name}' 열은 반영되지 않습니다. 명단과 다른 행: 3행"
    assert [each.message for each in preview.notices] == [sentence] * noticed


def add_remarks(sheet: Any) -> None:
    sheet.cell(1, len(HEADER) + 1).value = "비고"
    sheet.cell(3, len(HEADER) + 1).value = "휠체어"


def test_a_notice_names_the_first_rows() -> None:
    (notice,) = after(each_of(*(put(line, "학년", 4) for line in range(2, 14)))).notices
    rows = ", ".join(f"{line}행" for line in range(2, 12))
    assert notice.message == f"'학년' 열은 반영되지 않습니다. 명단과 다른 행: {rows} 외 2행"


def test_a_mark_that_is_removed_unsets_the_leader() -> None:
    assert edits(after(put(2, "리더", None)).changes) == {(1, "isLeader"): False}


def test_the_number_column_counts_only_when_it_is_asked_for() -> None:
    def number_anew(sheet: Any) -> None:
        for line in range(2, len(ROWS) + 2):
            sheet.cell(line, column("No.")).value = None if line == 2 else line + 100

    assert after(number_anew).changes == ()
    numbers = {each.id: each.id for each in ROWS}
    asked = after(number_anew, apply_lineup_number=True, lineup_numbers=numbers)
    assert edits(asked.changes) == {
        (each.id, "lineupNumber"): each.id + 101 for each in ROWS if each.id != 1
    }


def test_an_exported_line_up_number_is_no_edit() -> None:
    numbers = {each.id: 3 * each.id for each in ROWS}
    options: dict[str, Any] = {"lineup_numbers": numbers, "apply_lineup_number": True}
    # At the export's revision it is not known in this test: the preview's counts.
    preview = previewed(exported(ROWS, lineup_numbers=numbers), ROWS, pruned=True, **options)
    assert preview.changes == ()


# -- what an edit is compared with


def changed(rows: list[Row], id_: int, **fields: Any) -> list[Row]:
    return [replace(each, **fields) if each.id == id_ else each for each in rows]


def test_what_others_changed_since_the_export_is_not_set_back() -> None:
    now = changed(ROWS, 2, gbs_number=9, current_leader="다른이")
    preview = previewed(EXPORT, now, at_export=ROWS)
    assert preview.changes == ()


def test_a_cell_is_compared_with_the_list_at_its_hidden_revision() -> None:
    now = changed(ROWS, 2, gbs_number=9)
    sheet = edited(EXPORT, put(3, "조번호", 5))
    (change,) = previewed(sheet, now, at_export=ROWS).changes
    assert (change.from_, change.to, change.base_revision) == (1, 5, EXPORTED)


def test_where_that_is_pruned_it_is_compared_with_the_preview() -> None:
    now = changed(ROWS, 2, gbs_number=9)
    (change,) = previewed(EXPORT, now, at_export=ROWS, pruned=True).changes
    assert (change.from_, change.to, change.base_revision) == (9, 1, REVISION)
    assert change.export_id == "e-1"


def test_a_sheet_without_hidden_values_is_compared_with_the_preview_and_not_warned_of() -> None:
    def edit(sheet: Any) -> None:
        put(3, "조번호", 5)(sheet)
        delete_hidden(sheet)

    preview = after(edit)
    (change,) = preview.changes
    assert (change.to, change.base_revision, change.export_id) == (5, REVISION, None)
    assert codes(preview) == ([], [])


# -- whom a row is about


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("연락처", 1099990002.0),
        ("연락처", "０１０９９９９０００２"),
        ("이름", unicodedata.normalize("NFD", "사람02 ")),
        ("이름", "사 람02"),
        ("부서", "3"),
        ("학년", "２학년"),
    ],
)
@pytest.mark.parametrize("hidden", [True, False])
def test_people_are_recognised_however_they_are_typed(name: str, value: Any, hidden: bool) -> None:
    def edit(sheet: Any) -> None:
        put(3, name, value)(sheet)
        put(3, "조번호", 5)(sheet)
        if not hidden:
            delete_hidden(sheet)

    preview = after(edit)
    assert edits(preview.changes) == {(2, "gbsNumber"): 5}
    assert codes(preview) == ([], [])


def sort_visible(sheet: Any) -> None:
    """Sort the people by name, downwards, and leave the hidden columns: as LibreOffice does."""
    lines = [[cell.value for cell in cells[3:]] for cells in sheet.iter_rows(min_row=2)]
    lines.sort(key=lambda cells: cells[column("이름") - 4], reverse=True)
    for number, cells in enumerate(lines, 2):
        for place, value in enumerate(cells, 4):
            sheet.cell(number, place).value = value


def test_hidden_values_beside_another_person_do_not_count() -> None:
    preview = after(sort_visible)
    assert preview.changes == ()
    assert codes(preview) == ([], ["HIDDEN_VALUES_IGNORED"] * len(ROWS))
    assert [problem.registration_id for problem in preview.warnings] == [*range(12, 0, -1)]


def test_then_edits_are_compared_with_the_preview() -> None:
    def edit(sheet: Any) -> None:
        put(3, "조번호", 5)(sheet)
        sort_visible(sheet)

    (change,) = after(edit).changes
    assert (change.registration_id, change.to) == (2, 5)
    assert (change.base_revision, change.export_id) == (REVISION, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registrationId", 999),
        ("registrationId", "x"),
        ("registrationId", None),
        ("revision", REVISION + 1),
        ("revision", None),
    ],
)
def test_hidden_values_that_cannot_be_are_ignored_with_a_warning(name: str, value: Any) -> None:
    preview = after(put(3, name, value))
    assert preview.changes == ()
    assert codes(preview) == ([], ["HIDDEN_VALUES_IGNORED"])


@pytest.mark.parametrize(
    ("name", "value"), [("이름", "아무개"), ("연락처", "010-1"), ("이름", None)]
)
def test_a_row_of_nobody_on_the_list_blocks(name: str, value: Any) -> None:
    preview = after(put(3, name, value))
    assert codes(preview) == (["NOT_REGISTERED"], ["NOT_IN_SHEET"])
    assert preview.blocks[0].row == 3
    assert preview.warnings[0].registration_id == 2


@pytest.mark.parametrize(("name", "value"), [("부서", 9), ("학년", None)])
def test_without_hidden_values_department_and_grade_must_fit(name: str, value: Any) -> None:
    def edit(sheet: Any) -> None:
        put(3, name, value)(sheet)
        delete_hidden(sheet)

    assert codes(after(edit)) == (["NOT_REGISTERED"], ["NOT_IN_SHEET"])


def test_the_hidden_id_finds_a_person_whose_department_was_changed() -> None:
    preview = after(each_of(put(3, "부서", 9), put(3, "조번호", 5)))
    assert edits(preview.changes) == {(2, "gbsNumber"): 5}
    assert codes(preview) == ([], [])


TWINS = [
    row(1, 1, name="김하나", phone="010-1", grade=1),
    row(2, 1, name="김하나", phone="010-1", grade=2),
]


def test_an_id_and_columns_that_name_two_people_block() -> None:
    preview = after(put(2, "학년", 2), TWINS)
    assert codes(preview) == (["TWO_PEOPLE"], ["NOT_IN_SHEET"])


def test_two_people_who_read_alike_are_ambiguous_without_an_id() -> None:
    alike = [replace(TWINS[0], id=id_) for id_ in (1, 2)]
    assert codes(after(lambda sheet: None, alike)) == ([], [])
    assert codes(after(delete_hidden, alike)) == (["AMBIGUOUS"] * 2, ["NOT_IN_SHEET"] * 2)


@pytest.mark.parametrize("hidden", [True, False])
def test_a_person_on_two_rows_blocks(hidden: bool) -> None:
    def edit(sheet: Any) -> None:
        sheet.append([cell.value for cell in sheet[3]])
        if not hidden:
            delete_hidden(sheet)

    preview = after(edit)
    assert codes(preview) == (["DOUBLED_PERSON"], [])
    (block,) = preview.blocks
    assert (block.row, block.message) == (14, "같은 사람이 3행에도 있습니다.")


def test_registered_people_who_are_missing_are_warned_of() -> None:
    preview = after(lambda sheet: sheet.delete_rows(3, 2))
    assert codes(preview) == ([], ["NOT_IN_SHEET"] * 2)
    assert [(each.registration_id, each.name) for each in preview.warnings] == [
        (2, "사람02"),
        (3, "사람03"),
    ]


def test_totals_and_remarks_below_the_people_are_skipped() -> None:
    def edit(sheet: Any) -> None:
        sheet.append([])
        sheet.append([None] * (column("부서") - 1) + ["합계", 12])

    assert codes(after(edit)) == ([], [])


# -- values and schedules


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("조번호", "세조", "'세조'"),
        ("조번호", 10_000, "'10000'"),
        ("조번호", 1.5, "'1.5'"),
        ("리더", "김민수", "'김민수'"),
        ("현리더", "이" * 101, "'이이이"),
    ],
)
def test_a_value_that_is_not_understood_blocks(name: str, value: Any, part: str) -> None:
    preview = after(put(3, name, value))
    assert codes(preview) == (["INVALID_VALUE"], [])
    (block,) = preview.blocks
    assert part in block.message
    assert name in block.message
    assert (block.row, block.registration_id, block.name) == (3, 2, "사람02")


@pytest.mark.parametrize("value", ["첫째", 0, 100_000])
def test_a_line_up_number_that_is_none_blocks_when_it_is_asked_for(value: Any) -> None:
    preview = after(put(3, "No.", value), apply_lineup_number=True, lineup_numbers={})
    assert "INVALID_VALUE" in codes(preview)[0]


def test_a_leader_without_a_group_blocks() -> None:
    assert codes(after(put(2, "조번호", "-")))[0] == ["LEADER_WITHOUT_GROUP"]
    assert codes(after(put(13, "리더", "O")))[0] == ["LEADER_WITHOUT_GROUP"]
    both = after(each_of(put(13, "리더", "O"), put(13, "조번호", 5)))
    assert edits(both.changes) == {(12, "isLeader"): True, (12, "gbsNumber"): 5}
    assert codes(both) == ([], [])


def test_a_leader_who_was_in_no_group_already_does_not_block_other_edits() -> None:
    rows = [row(1, None, leader=True)]
    assert codes(after(put(2, "현리더", "김민수"), rows)) == ([], [])


@pytest.mark.parametrize(("people", "blocks"), [(2_000, []), (2_001, ["TOO_MANY_CHANGES"])])
def test_more_people_than_one_edit_may_change_block(people: int, blocks: list[str]) -> None:
    listed = [row(id_, 1) for id_ in range(1, people + 1)]
    sheet = exported([replace(each, gbs_number=2, current_leader="나") for each in listed])
    preview = previewed(sheet, listed)
    assert codes(preview) == (blocks, [])
    assert [each.message for each in preview.blocks] == [
        "2,001명이 바뀝니다. 한 번에 2,000명까지 바꿀 수 있으니 시트를 나누어 올려 주세요."
    ] * len(blocks)


@pytest.mark.parametrize(("value", "ids"), [(None, (11, 12, 13, 14, 15)), ("O", (11, 13, 14, 15))])
def test_a_schedule_that_differs_blocks(value: Any, ids: tuple[int, ...]) -> None:
    preview = after(put(2, "수저", value), [row(1, 1, schedules=ids)])
    assert codes(preview) == (["SCHEDULES_DIFFER"], [])
    assert "수저" in preview.blocks[0].message


def test_schedule_columns_that_differ_block() -> None:
    preview = previewed(EXPORT, ROWS, schedules=SCHEDULES[:-1])
    assert codes(preview) == (["UNKNOWN_SCHEDULE"], [])
    preview = previewed(exported(ROWS, schedules=SCHEDULES[:-1]), ROWS)
    assert codes(preview)[0] == ["MISSING_COLUMN"]
    assert "금점" in preview.blocks[0].message


# -- sheets as people make them


def test_titles_above_and_columns_moved() -> None:
    header, *lines = rows_of(EXPORT)
    order = [HEADER.index("이름"), *(i for i in range(len(HEADER)) if HEADER[i] != "이름")]
    moved = [[None, *(cells[i] for i in order)] for cells in (header, *lines)]
    sheet = workbook({"통계": [["조", "인원"], [1, 4]], "명단": [["겨울 수양회"], [], *moved]})
    preview = previewed(sheet, ROWS)
    assert is_without_effect(preview)
    assert preview.sheets == ("통계", "명단")
    assert preview.layout is not None
    assert (preview.layout.sheet, preview.layout.header_row) == ("명단", 3)


def test_without_a_header_there_is_one_block_and_no_layout() -> None:
    preview = previewed(workbook({"표": [["가", "나"], [1, 2]]}), ROWS)
    assert preview.layout is None
    assert codes(preview) == (["NO_HEADER"], [])


def test_a_preview_is_json_in_the_words_of_the_api() -> None:
    preview = after(put(3, "조번호", 5))
    answer = msgspec.json.decode(msgspec.json.encode(preview))
    assert set(answer) == {"sheets", "layout", "changes", "blocks", "warnings", "notices"}
    assert set(answer["layout"]) == {"sheet", "headerRow", "columns"}
