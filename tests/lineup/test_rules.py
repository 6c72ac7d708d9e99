from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.lineup.rules import (
    InvalidValue,
    check_id,
    check_number,
    clean_color,
    clean_memo,
)


def test_a_memo_is_trimmed() -> None:
    assert clean_memo(" \n 늦게 도착 \t", "") == ("늦게 도착", "")


def test_a_memo_of_2000_characters_is_accepted() -> None:
    assert clean_memo("가" * 2000, "")[0] == "가" * 2000


def test_a_memo_of_2001_characters_is_refused() -> None:
    with pytest.raises(InvalidValue, match="2,000"):
        clean_memo("가" * 2001, "")


def test_the_length_of_a_memo_counts_after_trimming() -> None:
    assert clean_memo("  " + "가" * 2000 + "  ", "")[0] == "가" * 2000


def test_characters_outside_the_basic_plane_count_as_one_each() -> None:
    assert clean_memo("🙏" * 2000, "")[0] == "🙏" * 2000


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "ok \udfff"])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        clean_memo(text, "#FECACA")
    assert caught.value.field == "memo"


@pytest.mark.parametrize("color", [None, "", "transparent"])
def test_an_empty_memo_without_a_colour_is_refused(color: str | None) -> None:
    with pytest.raises(InvalidValue):
        clean_memo("  ", color)


def test_an_empty_memo_with_a_colour_is_accepted() -> None:
    assert clean_memo(" ", "#FECACA") == ("", "#FECACA")


@pytest.mark.parametrize("color", [None, "", "transparent"])
def test_four_ways_of_saying_no_colour_mean_the_same(color: str | None) -> None:
    assert clean_color(color) == ""


def test_a_colour_is_stored_in_upper_case() -> None:
    assert clean_color("#fecaca") == "#FECACA"


@pytest.mark.parametrize(
    "color", ["red", "#FFF", "FECACA", "#FECACAFF", "#GGGGGG", "#FECACA\n", " ", "Transparent"]
)
def test_any_other_colour_is_refused(color: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        clean_color(color)
    assert caught.value.field == "color"


@given(st.text(max_size=30), st.sampled_from([None, "", "transparent", "#abcdef", "#ABCDEF"]))
def test_a_cleaned_memo_passes_unchanged(text: str, color: str | None) -> None:
    try:
        clean = clean_memo(text, color)
    except InvalidValue:
        return
    assert clean_memo(*clean) == clean


@pytest.mark.parametrize("number", [None, 1, 9999])
def test_a_group_number_is_null_or_1_to_9999(number: int | None) -> None:
    assert check_number(number) == number


@pytest.mark.parametrize("number", [0, -1, 10_000, True, False, 1.0, "1", [1]])
def test_any_other_group_number_is_refused(number: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_number(number)
    assert caught.value.field == "gbsNumber"


@pytest.mark.parametrize(("given_id", "id_"), [(1, 1), ("42", 42), (2**63 - 1, 2**63 - 1)])
def test_an_id_is_a_number_or_its_digits(given_id: object, id_: int) -> None:
    assert check_id("lineupId", given_id) == id_


@pytest.mark.parametrize(
    "given_id",
    [0, -1, 2**63, str(2**63), "1" * 20, "", "-1", "1.0", " 1", "1\n", "١", True, 1.0, None, []],
)
def test_any_other_id_is_refused(given_id: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_id("lineupId", given_id)
    assert caught.value.field == "lineupId"


def test_an_invalid_value_names_its_field() -> None:
    assert str(InvalidValue("memo", "too long")) == "memo: too long"
