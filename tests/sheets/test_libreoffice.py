"""Sheets that LibreOffice has edited: exactly the edited cells are edits."""

from __future__ import annotations

from typing import Any

import pytest

from gbs_actor.sheets.reader import SheetReader
from gbs_actor.sheets.unreadable import Unreadable, UnreadableCode
from tests.sheets.libreoffice import LibreOffice
from tests.sheets.making import (
    EXPORTED,
    REVISION,
    codes,
    edits,
    exported,
    is_without_effect,
    people,
    previewed,
    row,
)

ROWS = people(16)
EVERYTHING = "A1:T17"
VISIBLE = "D1:T17"
NAME, NUMBER = 10, 6  # columns of the export, from 0

EDITS = """
    Put(sheet, "G3", 7)        ' the group number of 2
    Put(sheet, "G4", "8")      ' of 3, as text
    Formula(sheet, "G5", "=4+5")
    Put(sheet, "G17", 3)       ' of 16, who is in no group
    Put(sheet, "G6", "-")      ' of 5, a leader,
    Put(sheet, "E6", "")       ' who is none any more
    Put(sheet, "N8", "김민수")  ' the current leader of 7
"""
EXPECTED: dict[tuple[int, str], Any] = {
    (2, "gbsNumber"): 7,
    (3, "gbsNumber"): 8,
    (4, "gbsNumber"): 9,
    (16, "gbsNumber"): 3,
    (5, "gbsNumber"): None,
    (5, "isLeader"): False,
    (7, "currentLeader"): "김민수",
}


@pytest.mark.parametrize("to", [".xlsx", ".xls", ".ods", ".csv"])
def test_saved_again_it_changes_nothing(libreoffice: LibreOffice, to: str) -> None:
    rows = [
        *ROWS,
        row(17, name="=1+1", current_leader="김+82"),
        row(18, name="ㅎㅎ 😀", phone="01012345678"),
    ]
    preview = previewed(libreoffice.edit(exported(rows), to=to), rows)
    assert is_without_effect(preview)


SORT = f'Sort(sheet, "{EVERYTHING}", {NAME}, False)'
FILTER = f'Filter(sheet, "{EVERYTHING}", {NUMBER}, "2")'


@pytest.mark.parametrize(
    ("and_then", "to"),
    [
        ("", ".xlsx"),
        (FILTER, ".xlsx"),
        (SORT, ".xlsx"),
        (SORT + "\n" + FILTER, ".xlsx"),
        (SORT + "\n" + FILTER, ".xls"),
        (SORT + "\n" + FILTER, ".ods"),
        (SORT, ".csv"),
    ],
)
def test_exactly_the_edited_cells_are_edits(
    libreoffice: LibreOffice, and_then: str, to: str
) -> None:
    preview = previewed(libreoffice.edit(exported(ROWS), EDITS + and_then, to=to), ROWS)
    assert edits(preview.changes) == EXPECTED
    assert {change.base_revision for change in preview.changes} == {EXPORTED}
    assert codes(preview) == ([], [])


def test_sorted_without_the_hidden_columns_each_row_is_warned_of(
    libreoffice: LibreOffice,
) -> None:
    sort = f'Sort(sheet, "{VISIBLE}", {NAME - 3}, False)'
    preview = previewed(libreoffice.edit(exported(ROWS), EDITS + sort), ROWS)
    assert edits(preview.changes) == EXPECTED
    assert {change.base_revision for change in preview.changes} == {REVISION}
    assert codes(preview) == ([], ["HIDDEN_VALUES_IGNORED"] * len(ROWS))


def test_rows_and_columns_that_are_moved_inserted_and_deleted(libreoffice: LibreOffice) -> None:
    edited = libreoffice.edit(
        exported(ROWS),
        """
        sheet.Rows.removeByIndex(16, 1)      ' person 16
        sheet.Rows.insertByIndex(0, 2)
        Put(sheet, "E1", "2026 겨울 수양회")
        sheet.getCellRangeByName("E1:J1").merge(True)
        sheet.Columns.insertByIndex(4, 2)    ' before 리더
        Put(sheet, "F3", "비고")
        Put(sheet, "F4", "휠체어")
        Put(sheet, "I5", 7)                  ' the group number of 2
        """,
    )
    preview = previewed(edited, ROWS)
    assert edits(preview.changes) == {(2, "gbsNumber"): 7}
    assert codes(preview) == ([], ["NOT_IN_SHEET"])


def test_telephone_numbers_typed_anew_lose_their_zero_and_still_count(
    libreoffice: LibreOffice,
) -> None:
    edited = libreoffice.edit(
        exported(ROWS),
        """
        Put(sheet, "L3", 1099990002)
        Put(sheet, "L4", "０１０ ９９９９ ０００３")
        Put(sheet, "G3", 7)
        """,
    )
    preview = previewed(edited, ROWS)
    assert edits(preview.changes) == {(2, "gbsNumber"): 7}
    assert codes(preview) == ([], [])


def test_a_group_number_that_became_a_date_blocks(libreoffice: LibreOffice) -> None:
    edited = libreoffice.edit(
        exported(ROWS),
        """
        Formula(sheet, "G3", "=DATE(2026;3;1)")
        """,
    )
    preview = previewed(edited, ROWS)
    assert codes(preview) == (["INVALID_VALUE"], [])
    assert "2026-03-01" in preview.blocks[0].message


def test_text_like_formulas_and_numbers_stays_text(libreoffice: LibreOffice) -> None:
    leaders = ["=1+1", "@SUM(A1)", "-1", "+1", "'a", "0123", "3-1", "1e5", "TRUE", "1/2"]
    rows = [row(id_, current_leader=leader) for id_, leader in enumerate(leaders, 1)]
    preview = previewed(libreoffice.edit(exported(rows), 'Put(sheet, "G3", 2)'), rows)
    assert edits(preview.changes) == {(2, "gbsNumber"): 2}
    assert codes(preview) == ([], [])


@pytest.mark.parametrize("to", [".xlsx", ".xls", ".ods"])
async def test_an_encrypted_file(libreoffice: LibreOffice, to: str) -> None:
    encrypted = libreoffice.edit(exported(ROWS), to=to, password="secret")
    with pytest.raises(Unreadable, match="암호가 걸린 파일입니다") as caught:
        await SheetReader().read(encrypted)
    assert caught.value.code == UnreadableCode.ENCRYPTED
