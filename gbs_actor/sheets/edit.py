"""The fields that a sheet can change, and what a row of it says of them."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gbs_actor.lineup.records import Row
from gbs_actor.lineup.rules import (
    CURRENT_LEADER_LENGTH,
    LAST_LINEUP_NUMBER,
    InvalidValue,
    clean_current_leader,
)
from gbs_actor.sheets.cell import Line, gbs_number_of, mark_of, number_of, text_of
from gbs_actor.sheets.heading import Heading
from gbs_actor.sheets.layout import Table

Value = int | bool | str | None


class Field(StrEnum):
    """A field that a sheet can change."""

    GBS_NUMBER = "gbsNumber"
    IS_LEADER = "isLeader"
    CURRENT_LEADER = "currentLeader"
    LINEUP_NUMBER = "lineupNumber"


class Fields(msgspec.Struct, frozen=True):
    """These fields of a registration, as of some revision."""

    gbs_number: int | None
    is_leader: bool
    current_leader: str
    lineup_number: int | None = None

    @classmethod
    def of(cls, row: Row, lineup_number: int | None) -> Fields:
        """Return the fields of a row of the list."""
        return cls(row.gbs_number, row.is_leader, row.current_leader, lineup_number)

    def value(self, field: Field) -> Value:
        """Return the value of a field."""
        match field:
            case Field.GBS_NUMBER:
                return self.gbs_number
            case Field.IS_LEADER:
                return self.is_leader
            case Field.CURRENT_LEADER:
                return self.current_leader
            case Field.LINEUP_NUMBER:
                return self.lineup_number


class CellEdit(msgspec.Struct, frozen=True, rename="camel"):
    """A cell that differs from the list that its row was exported from."""

    registration_id: int
    field: Field
    from_: Value = msgspec.field(name="from")
    """The value at ``base_revision``."""
    to: Value
    base_revision: int
    """What the person at the spreadsheet was looking at: the export's, else the preview's."""
    export_id: str | None
    """Of the export that the row comes from; ``None``: it has no hidden values that count."""
    row: int
    """Of the sheet, from 1."""
    name: str


def values_of(
    table: Table, line: Line, *, lineup_number: bool
) -> tuple[dict[Field, Value], list[str]]:
    """Return what a row says of each field, and a sentence for each cell that says nothing.

    An empty cell leaves a group number and a line-up number as they are.

    :param lineup_number: whether the column ``No.`` counts.
    """
    values: dict[Field, Value] = {}
    problems = []
    if text_of(cell := table.cell(line, Heading.GBS_NUMBER)):
        try:
            values[Field.GBS_NUMBER] = gbs_number_of(cell)
        except ValueError as error:
            problems.append(str(error))
    if Heading.LEADER in table.columns:
        mark = mark_of(cell := table.cell(line, Heading.LEADER))
        if mark is None:
            problems.append(f"리더 칸의 '{text_of(cell)[:40]}'은(는) 빈칸이나 O여야 합니다.")
        else:
            values[Field.IS_LEADER] = mark
    if Heading.CURRENT_LEADER in table.columns:
        values[Field.CURRENT_LEADER] = text_of(table.cell(line, Heading.CURRENT_LEADER))
    if lineup_number and text_of(cell := table.cell(line, Heading.LINEUP_NUMBER)):
        number = number_of(cell)
        if number is None or not 1 <= number <= LAST_LINEUP_NUMBER:
            problems.append(
                f"No. 칸의 '{text_of(cell)[:40]}'은(는) 1부터 {LAST_LINEUP_NUMBER}까지의 "
                "수여야 합니다."
            )
        else:
            values[Field.LINEUP_NUMBER] = number
    return values, problems


def fault_in_name(value: Value) -> str | None:
    """Return why an edit cannot write this as a current leader; ``None``: it can.

    Not asked of names that stay: those in the list may be longer.
    """
    try:
        clean_current_leader(str(value))
    except InvalidValue:
        return (
            f"현리더 '{str(value)[:40]}'은(는) 쓸 수 없습니다. "
            f"{CURRENT_LEADER_LENGTH}자까지 쓸 수 있습니다."
        )
    return None


def is_same(listed: Value, value: Value) -> bool:
    """Return whether a cell has what the list has; texts as they are after a spreadsheet."""
    if isinstance(listed, str):
        return listed == value or text_of(listed) == value
    return listed == value
