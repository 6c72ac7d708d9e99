from __future__ import annotations

import unicodedata

import pytest

from gbs_actor.sheets.cell import (
    Cell,
    DateCell,
    folded,
    gbs_number_of,
    mark_of,
    number_of,
    phone_of,
    text_of,
)

MARCH = DateCell("2026-03-01")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        ("  가나 ", "가나"),
        ("\ufeff가\u3000", "가"),
        (unicodedata.normalize("NFD", "한글"), "한글"),
        ("가\r\n나", "가\n나"),
        (778.0, "778"),
        (778, "778"),
        (0.5, "0.5"),
        (1e300, str(int(1e300))),
        (True, "TRUE"),
        (MARCH, "2026-03-01"),
    ],
)
def test_a_cell_as_text(cell: Cell, text: str) -> None:
    assert text_of(cell) == text


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (778.0, 778),
        (3, 3),
        ("3", 3),
        (" ３ ", 3),
        ("778.0", 778),
        ("007", 7),
        ("3부", 3),
        ("2 학년", 2),
        ("12조", 12),
        (None, None),
        ("", None),
        (3.5, None),
        ("3.5", None),
        (-3, None),
        ("세", None),
        ("3부 4", None),
        (True, None),
        (MARCH, None),
        ("9" * 400, None),
    ],
)
def test_a_cell_as_a_number(cell: Cell, number: int | None) -> None:
    assert number_of(cell) == number


@pytest.mark.parametrize(
    "cell",
    [
        "010-9999-8888",
        "01099998888",
        1099998888.0,
        1099998888,
        "1099998888",
        "０１０－９９９９－８８８８",
        " 010 9999 8888 ",
        "010.9999.8888",
        "+82 10-9999-8888",
        "+82 (0)10-9999-8888",
    ],
)
def test_a_telephone_number_is_its_digits_however_it_is_written(cell: Cell) -> None:
    assert phone_of(cell) == "1099998888"


def test_short_numbers_that_begin_like_the_code_of_korea_keep_it() -> None:
    assert phone_of("8212345") == "8212345"


@pytest.mark.parametrize("cell", ["O", "o", "Ｏ", "ㅇ", "○", " O ", "V", "✓", "✔️", 1.0, True])
def test_marks(cell: Cell) -> None:
    assert mark_of(cell) is True


@pytest.mark.parametrize("cell", [None, "", " ", "X", "x", "-", "–", 0.0, False])
def test_marks_that_are_not_set(cell: Cell) -> None:
    assert mark_of(cell) is False


@pytest.mark.parametrize("cell", ["김민수", 7, MARCH, "OX"])
def test_what_is_no_mark(cell: Cell) -> None:
    assert mark_of(cell) is None


@pytest.mark.parametrize("cell", ["-", "－", "–", "—", " - "])
def test_a_dash_unassigns(cell: Cell) -> None:
    assert gbs_number_of(cell) is None


@pytest.mark.parametrize("cell", [0, 10_000, "세조", 1.5, -1, True, "#N/A", MARCH, "1,2", "--"])
def test_another_group_number_is_refused_in_one_korean_sentence(cell: Cell) -> None:
    with pytest.raises(ValueError, match=r"조번호.*(입력해 주세요)\.$"):
        gbs_number_of(cell)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("홍 길동", "홍길동"),
        (unicodedata.normalize("NFD", "홍길동"), "홍길동"),
        ("Ａnna-Lee", "annalee"),
    ],
)
def test_names_are_compared_without_spaces_hyphens_case_and_width(one: str, other: str) -> None:
    assert folded(one) == folded(other)
