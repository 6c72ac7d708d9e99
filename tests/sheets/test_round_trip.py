"""What is exported, edited and read again, over arbitrary people."""

from __future__ import annotations

import csv
import io
import unicodedata
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gbs_actor.lineup.records import Row
from tests.sheets.making import (
    EXPORTED,
    column,
    edited,
    edits,
    exported,
    is_without_effect,
    people,
    previewed,
    row,
    rows_of,
)

CategoryName = Literal["Cc"]
SCHEDULE_IDS = (11, 12, 13, 14, 15)
SPECIAL = (
    *("=1+1", "+1", "-1", "@a", "0123", "1e5", "TRUE", "2026-01-01", "3-1"),
    *("😀", "👨‍👩‍👧", "_x0041_"),
)


def texts(*without: CategoryName) -> st.SearchStrategy[str]:
    return st.one_of(
        st.text(st.characters(exclude_categories=["Cs", *without]), min_size=1, max_size=12),
        st.text("가나다라홍길동 김이박", min_size=1, max_size=5),
        st.sampled_from(SPECIAL),
        st.integers(0, 10**12).map(str),
        st.text("한글", min_size=1, max_size=3).map(partial(unicodedata.normalize, "NFD")),
    ).filter(lambda text: not text.isspace() and "\0" not in text)


@st.composite
def lists(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[Row]:
    """Lists of people whose names differ, at least, by a number at the end."""
    rows = []
    for id_ in range(1, draw(st.integers(1, 8)) + 1):
        number = draw(st.none() | st.integers(1, 9999))
        rows.append(
            row(
                draw(st.sampled_from([id_, 2**53 + id_, 2**62 + id_])),
                number,
                name=draw(texts) + f"#{id_}",
                phone=draw(st.sampled_from(["", "없음", f"0109999{id_:04}", f"010-0000-{id_:04}"])),
                leader=number is not None and draw(st.booleans()),
                department=draw(st.integers(1, 30)),
                grade=draw(st.integers(1, 9)),
                current_leader=draw(texts | st.just("")),
                schedules=draw(st.sets(st.sampled_from(SCHEDULE_IDS)).map(sorted)),
            )
        )
    return rows


@settings(max_examples=150)
@given(lists(texts()))
def test_an_export_changes_nothing(rows: list[Row]) -> None:
    preview = previewed(exported(rows), rows)
    assert is_without_effect(preview)


@settings(max_examples=100)
@given(lists(texts("Cc")))
def test_as_csv_it_changes_nothing_either(rows: list[Row]) -> None:
    for delimiter in ",\t":
        output = io.StringIO()
        csv.writer(output, delimiter=delimiter).writerows(rows_of(exported(rows)))
        preview = previewed(output.getvalue().encode(), rows)
        assert is_without_effect(preview)


@settings(max_examples=100)
@given(st.data())
def test_edited_cells_sorted_and_moved_are_exactly_the_edits(data: st.DataObject) -> None:
    rows = people(16)
    moved = data.draw(st.dictionaries(st.integers(1, 16), st.none() | st.integers(50, 60)))
    named = data.draw(st.dictionaries(st.integers(1, 16), st.sampled_from(["가", "나", "+1"])))
    key = data.draw(st.sampled_from(["이름", "연락처", "조번호", "registrationId"]))
    shift = data.draw(st.integers(0, 3))
    # Somebody else meanwhile.
    others = data.draw(st.dictionaries(st.integers(1, 16), st.integers(70, 80)))
    now = [replace(each, gbs_number=others.get(each.id, each.gbs_number)) for each in rows]

    def edit(sheet: Any) -> None:
        for id_, number in moved.items():
            sheet.cell(id_ + 1, column("조번호")).value = "-" if number is None else float(number)
            if number is None:
                sheet.cell(id_ + 1, column("리더")).value = None
        for id_, name in named.items():
            sheet.cell(id_ + 1, column("현리더")).value = name
        lines = [[cell.value for cell in cells] for cells in sheet.iter_rows(min_row=2)]
        lines.sort(key=lambda cells: str(cells[column(key) - 1]), reverse=True)
        for number, cells in enumerate(lines, 2):
            for place, value in enumerate(cells, 1):
                sheet.cell(number, place).value = value
        if shift:
            sheet.insert_cols(1, shift)
            sheet.insert_rows(1, shift)

    preview = previewed(edited(exported(rows), edit), now, at_export=rows)
    listed = {each.id: each for each in rows}
    expected: dict[tuple[int, str], Any] = {
        (id_, "gbsNumber"): number
        for id_, number in moved.items()
        if listed[id_].gbs_number != number
    }
    expected |= {(id_, "currentLeader"): name for id_, name in named.items()}
    expected |= {
        (id_, "isLeader"): False
        for id_, number in moved.items()
        if number is None and listed[id_].is_leader
    }
    assert edits(preview.changes) == expected
    assert {change.base_revision for change in preview.changes} <= {EXPORTED}
    assert preview.blocks == preview.warnings == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_text_of_every_encoding(encoding: str, delimiter: str) -> None:
    rows = people()
    output = io.StringIO()
    csv.writer(output, delimiter=delimiter).writerows(rows_of(exported(rows)))
    preview = previewed(output.getvalue().encode(encoding), rows)
    assert is_without_effect(preview)
