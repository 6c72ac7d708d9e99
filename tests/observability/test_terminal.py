"""Text that others wrote does nothing to a terminal, however it gets there."""

from __future__ import annotations

import io
import json
import logging
import re
import unicodedata

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.observability import configure_logging, visible, visible_lines

CLIPBOARD = "\x1b]52;c;cm0gLXJmIC8=\x07"
CLEAR = "\x1b[2J"
C1_CLEAR = "\x9b2J"
REVERSED = "\u202egnp.exe"
NASTY = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]),
        st.sampled_from("[]/ \\\"':=\x1b\x9b\u202e\u2066\u2069\u200f\u061c\u2028\x7f\x85"),
    )
)
STYLING = re.compile(r"\x1b\[[0-9;]*m")


def dangers(text: str) -> set[str]:
    """Return the characters that do something to a terminal, by what Unicode says of them."""
    reordering = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    return {
        char
        for char in text
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(char) in reordering
        or char in "\u061c\u200e\u200f"
    }


@given(NASTY)
def test_nothing_is_left_that_controls_a_terminal(text: str) -> None:
    assert dangers(visible(text)) == set()
    assert dangers(visible_lines(text)) <= {"\n"}
    assert visible(visible(text)) == visible(text)


@given(NASTY)
def test_a_json_document_keeps_its_value(text: str) -> None:
    document = json.dumps({"name": text}, ensure_ascii=False)
    assert json.loads(visible(document)) == {"name": text}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("김하늘 👩‍👩‍👧", "김하늘 👩‍👩‍👧"),
        (CLIPBOARD, r"\u001b]52;c;cm0gLXJmIC8=\u0007"),
        (C1_CLEAR, r"\u009b2J"),
        (REVERSED, r"\u202egnp.exe"),
        ("one\ntwo\u2028three\x85", r"one\ntwo\u2028three\u0085"),
    ],
)
def test_it_is_shown_as_an_escape_sequence(text: str, shown: str) -> None:
    assert visible(text) == shown


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(NASTY, NASTY)
@pytest.mark.usefixtures("logging_as_it_was")
def test_the_console_log_has_no_controls_but_its_own_colours(message: str, value: str) -> None:
    terminal = _Terminal()
    configure_logging(log_level="INFO", log_format="console", stream=terminal)
    log = structlog.get_logger("x")
    log.info(message, value=value, several=[value], by_name={value: value}, text=_Odd(value))
    logging.getLogger("y").warning("%s", message, extra={"field": value})
    assert dangers(STYLING.sub("", terminal.getvalue())) == {"\n"}
    assert terminal.getvalue().count("\n") == 2, "a line break of the message made a line"


@given(NASTY)
@pytest.mark.usefixtures("logging_as_it_was")
def test_an_exception_in_the_console_log_is_indented_and_has_no_controls(message: str) -> None:
    terminal = _Terminal()
    configure_logging(log_level="INFO", log_format="console", stream=terminal)
    structlog.get_logger("x").error("Failed", exc_info=ValueError(message))
    plain = STYLING.sub("", terminal.getvalue())
    assert dangers(plain) == {"\n"}
    first, *rest = plain.removesuffix("\n").split("\n")
    assert "Failed" in first
    assert all(line.startswith("    ") or not line for line in rest)


@given(NASTY, NASTY)
@pytest.mark.usefixtures("logging_as_it_was")
def test_the_json_log_is_one_safe_line_with_the_same_values(message: str, value: str) -> None:
    stream = io.StringIO()
    configure_logging(log_level="INFO", log_format="json", stream=stream)
    structlog.get_logger("x").info("Said", message=message)
    (line,) = stream.getvalue().removesuffix("\n").split("\n")
    assert dangers(line) == set()
    assert json.loads(line)["event"] == "Said"


class _Odd:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
