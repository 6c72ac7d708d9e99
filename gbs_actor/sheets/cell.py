"""The cells of a sheet as they were read, and what people mean by them.

Spreadsheets change what is typed: ``778`` becomes 778.0, a telephone number loses its leading
zero, ``3-1`` becomes a date; and people type full-width digits, marks and spaces.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import msgspec

from gbs_actor.lineup.rules import LAST_NUMBER
from gbs_actor.lineup.text import comparable, trimmed


class DateCell(msgspec.Struct, frozen=True):
    """A cell that has a date, a time or a duration."""

    date: str
    """As in ISO 8601."""


Cell = str | int | float | bool | DateCell | None
"""The value of a cell, of a formula its result; ``None``: it is empty, or the result an error."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A row of a sheet that is not empty."""

    number: int
    """As the spreadsheet shows it, from 1."""
    cells: tuple[Cell, ...]
    """From column A to the last one that is not empty."""

    def cell(self, column: int | None) -> Cell:
        """Return the cell in a column, counted from 0; ``None``: there is no such column."""
        if column is None or column >= len(self.cells):
            return None
        return self.cells[column]


class Sheet(msgspec.Struct, frozen=True):
    """One sheet of a workbook; a text has a single one, without a name."""

    name: str
    visible: bool
    lines: tuple[Line, ...]


_DASHES: Final = "-‐‑‒–—―−"
_NUMBER: Final = re.compile(r"([0-9]{1,19})(?:\.0*)?[부조]?|([0-9]{1,19})학년")
_NO_DIGITS: Final = re.compile("[^0-9]+")
_PREFIX: Final = re.compile("^0*(?:82(?=[0-9]{9}))?0*")
_SKIPPED: Final = re.compile(rf"[\s\{_DASHES}]")


def text_of(cell: Cell) -> str:
    """Return a cell as text: trimmed, NFC, whole numbers without decimal places."""
    match cell:
        case str():
            return comparable(trimmed(cell.replace("\r\n", "\n")))
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer():
            return str(int(cell))
        case DateCell():
            return cell.date
        case _:
            return str(cell)


def folded(text: str) -> str:
    """Return the form in which names are compared: NFKC, no case, spaces and hyphens ignored."""
    return _SKIPPED.sub("", unicodedata.normalize("NFKC", text).casefold())


def number_of(cell: Cell) -> int | None:
    """Return a whole number, whether it is stored as one or typed: ``778.0``, ``３``, ``2학년``."""
    typed = unicodedata.normalize("NFKC", text_of(cell)).replace(" ", "")
    match = None if isinstance(cell, bool | DateCell) else _NUMBER.fullmatch(typed)
    return None if match is None else int(match[1] or match[2])


def phone_of(cell: Cell) -> str:
    """Return the digits of a telephone number without leading zeros and Korea's code, 82."""
    digits = _NO_DIGITS.sub("", unicodedata.normalize("NFKC", text_of(cell)))
    return _PREFIX.sub("", digits)


_YES: Final = frozenset(map(folded, ("O", "ㅇ", "○", "◯", "●", "⭕", "✓", "✔", "V", "1", "true")))
_NO: Final = frozenset(map(folded, ("", "X", "×", "0", "false")))


def mark_of(cell: Cell) -> bool | None:
    """Return whether a cell is marked; ``None``: it has what is no mark."""
    if cell is None:
        return False
    mark = folded(text_of(cell)).rstrip("\ufe0f")  # asks for the colourful form of a sign
    if mark in _YES:
        return True
    return False if mark in _NO else None


def gbs_number_of(cell: Cell) -> int | None:
    """Return the group number of a cell that is not empty; ``None``: a dash, for "in no group".

    :raises ValueError: anything else; its text is one sentence for the person, in Korean.
    """
    text = text_of(cell)
    if len(text) == 1 and text in f"{_DASHES}－":
        return None
    number = number_of(cell)
    if number is not None and 1 <= number <= LAST_NUMBER:
        return number
    raise ValueError(
        f"조번호 '{text[:40]}'은(는) 쓸 수 없습니다. 1부터 {LAST_NUMBER}까지의 수나, "
        "조에서 빼는 -를 입력해 주세요."
    )
