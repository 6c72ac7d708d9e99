"""Text as people type it: trimming as in a browser, blank texts, equal texts."""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.lineup.rules import InvalidValue, clean_memo
from gbs_actor.lineup.text import WHITE_SPACE, comparable, is_blank, trimmed

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "김하늘 café") for form in ("NFC", "NFD"))
IN_NODE = """
const trimmed = [];
for (let point = 0; point <= 0x10ffff; point++)
  if (String.fromCodePoint(point).trim() === "") trimmed.push(point);
console.log(JSON.stringify(trimmed));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_white_space_is_what_javascript_trims() -> None:
    node = subprocess.run(["node", "-e", IN_NODE], check=True, capture_output=True)
    assert set(json.loads(node.stdout)) == {ord(char) for char in WHITE_SPACE}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\ufeff 늦게 도착\u3000\n", "늦게 도착"),
        ("\x1c늦게\x1f", "\x1c늦게\x1f"),
        ("\x85늦게\x85", "\x85늦게\x85"),
        ("\u200b늦게", "\u200b늦게"),
    ],
)
def test_trimming_is_the_browsers_and_not_pythons(text: str, wanted: str) -> None:
    assert trimmed(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \ufeff",
        "\u200b",
        "\u200d\u2060 \u200e",
        "\u3164",
        "\u115f\u1160\uffa0",
        "\u2800",
        "\x07\x1b",
        "\xad",
        "\ufe0f",
        "\u202e\u2069",
        "\U000e0041\U000e007f",
        "\U0001d159",
    ],
)
def test_a_text_of_invisible_characters_is_blank(text: str) -> None:
    assert is_blank(text)
    with pytest.raises(InvalidValue) as caught:
        clean_memo(text, "")
    assert caught.value.field == "memo"
    assert clean_memo(text, "#FECACA") == ("", "#FECACA")


@pytest.mark.parametrize(
    "text", ["가", "\u1100\u1161", "👩‍👩‍👧", "❤️", "\u200bx", "ㅤ가", ".", "\u0301"]
)
def test_a_text_with_something_to_see_is_kept_as_it_was_typed(text: str) -> None:
    assert not is_blank(text)
    assert clean_memo(text, "") == (text, "")


@pytest.mark.parametrize("block", [range(0xAC00, 0xD7A4), range(0x20, 0x7F), range(0x3131, 0x3164)])
def test_what_korean_and_english_are_written_with_is_visible(block: range) -> None:
    assert [hex(point) for point in block if point != 0x20 and is_blank(chr(point))] == []


@given(st.characters(categories=["Cc", "Zs", "Zl", "Zp"]))
def test_every_control_and_space_is_blank(char: str) -> None:
    assert is_blank(char)


def test_texts_compare_alike_in_every_normalization_form() -> None:
    assert COMPOSED != DECOMPOSED
    assert comparable(COMPOSED) == comparable(DECOMPOSED) == COMPOSED
