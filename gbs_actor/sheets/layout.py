"""Where a sheet has its table: the header, and which column holds what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gbs_actor.lineup.schedules import Schedule
from gbs_actor.sheets.cell import Cell, Line, Sheet, folded, text_of
from gbs_actor.sheets.heading import HIDDEN, NEEDED, Heading, heading_of
from gbs_actor.sheets.problem import Problem, ProblemCode
from gbs_actor.sheets.schedule import is_label

HEADER_ROWS = 8
"""The header is within this many rows from the top."""

_ENOUGH = 3
"""A row with this many known names is a header."""


class LayoutColumn(msgspec.Struct, frozen=True):
    """A column of the table."""

    column: str
    """As the spreadsheet names it: ``A``, ``AB``."""
    title: str
    """As the sheet has it."""
    meaning: str | None
    """The name of the column in an export; ``None``: it is not read."""


class Layout(msgspec.Struct, frozen=True, rename="camel"):
    """How an import understood the sheet."""

    sheet: str
    header_row: int
    """From 1."""
    columns: tuple[LayoutColumn, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet with a header."""

    sheet: Sheet
    header: Line
    columns: Mapping[str, int]
    """By name in an export (a heading, or the label of a schedule), counted from 0."""
    problems: tuple[Problem, ...]
    """About the columns."""

    @property
    def lines(self) -> Sequence[Line]:
        """What is below the header."""
        return [line for line in self.sheet.lines if line.number > self.header.number]

    def cell(self, line: Line, name: str) -> Cell:
        """Return a line's cell in the column of this name; ``None``: it is empty or not there."""
        return line.cell(self.columns.get(name))

    @property
    def layout(self) -> Layout:
        """What people are shown of it."""
        meanings = {column: name for name, column in self.columns.items()}
        return Layout(
            sheet=self.sheet.name,
            header_row=self.header.number,
            columns=tuple(
                LayoutColumn(column_name(column), text_of(cell), meanings.get(column))
                for column, cell in enumerate(self.header.cells)
                if cell is not None
            ),
        )


def find_table(
    sheets: Iterable[Sheet], schedules: Mapping[str, Schedule]
) -> tuple[Table | None, tuple[Problem, ...]]:
    """Return the table of the sheet that has the header, and what is wrong with the columns.

    Of several, those that are visible go before hidden ones, then those that lack no column.

    :param schedules: by label, in time order.
    """
    tables = [table for sheet in sheets if (table := _table(sheet, schedules)) is not None]
    for kept in (
        [table for table in tables if table.sheet.visible],
        [table for table in tables if table.sheet.visible and not table.problems],
    ):
        tables = kept or tables
    if not tables:
        names = ", ".join(heading for heading in Heading if heading not in HIDDEN)
        message = f"처음 {HEADER_ROWS}행 안에 머리글이 없습니다. 필요한 열: {names}"
        return None, (Problem(ProblemCode.NO_HEADER, message),)
    table, *others = tables
    problems = table.problems
    if others:
        names = ", ".join(table.sheet.name for table in tables)
        message = f"명단으로 보이는 시트가 여럿입니다({names}). 하나만 남겨 주세요."
        problems = (Problem(ProblemCode.SEVERAL_SHEETS, message), *problems)
    return table, problems


def _table(sheet: Sheet, schedules: Mapping[str, Schedule]) -> Table | None:
    header = max(
        (line for line in sheet.lines if line.number <= HEADER_ROWS), key=_known, default=None
    )
    if header is None or _known(header) < _ENOUGH:
        return None
    columns: dict[str, int] = {}
    problems = []
    unknown = []
    for column, cell in enumerate(header.cells):
        title = text_of(cell)
        name = heading_of(title) or folded(title)
        if isinstance(name, Heading) or name in schedules:
            if name in columns:
                places = f"{column_name(columns[name])}, {column_name(column)}"
                message = f"'{name}' 열이 둘입니다({places}). 하나만 남겨 주세요."
                problems.append(Problem(ProblemCode.DOUBLED_COLUMN, message))
            columns.setdefault(name, column)
        elif is_label(name):
            message = f"'{title}' 열({column_name(column)})은 이 수양회의 일정이 아닙니다."
            problems.append(Problem(ProblemCode.UNKNOWN_SCHEDULE, message))
        elif title:
            message = f"'{title}' 열({column_name(column)})은 알 수 없는 열입니다."
            unknown.append(Problem(ProblemCode.UNKNOWN_COLUMN, message))
    missing = [
        Problem(ProblemCode.MISSING_COLUMN, f"'{name}' 열이 없습니다.")
        for name in (*NEEDED, *schedules)
        if name not in columns
    ]
    if missing:
        problems += missing + unknown
    return Table(sheet, header, columns, tuple(problems))


def _known(line: Line) -> int:
    """Return how many different headings a line has."""
    return len({heading_of(cell) for cell in line.cells if isinstance(cell, str)} - {None})


def column_name(column: int) -> str:
    """Return a column's name in a spreadsheet: ``A`` for 0, ``AA`` for 26."""
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return name
