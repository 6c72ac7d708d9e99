"""Which of the columns that no import changes differ from the list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gbs_actor.sheets.cell import Cell, folded, mark_of, number_of, text_of
from gbs_actor.sheets.heading import Heading
from gbs_actor.sheets.layout import Table
from gbs_actor.sheets.person import Found
from gbs_actor.sheets.roster import cells_of

_COLUMNS: Final = (
    Heading.DEPARTMENT,
    Heading.GRADE,
    Heading.GENDER,
    Heading.FULL_ATTENDANCE,
    Heading.USER_TYPE,
)
"""Names and telephone numbers are not among them: whoever has another one is another person. Ids
are not either: spreadsheets keep 15 digits of a number."""


def differing(table: Table, found: Found) -> Iterator[Heading]:
    """Yield the columns in which a row has something else than the list.

    Not those where it has nothing: people copy only the columns that they need.
    """
    listed = cells_of(found.person, 0)
    for heading in _COLUMNS:
        cell = table.cell(found.line, heading)
        if text_of(cell) and not _is_same(heading, cell, listed[heading]):
            yield heading


def _is_same(heading: Heading, cell: Cell, listed: str | int | None) -> bool:
    if heading is Heading.FULL_ATTENDANCE:
        return mark_of(cell) == mark_of(listed)
    if isinstance(listed, int):
        return number_of(cell) == listed
    return folded(text_of(cell)) == folded(listed or "")
