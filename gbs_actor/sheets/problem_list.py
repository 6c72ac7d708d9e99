"""Writes the blocks or the warnings of an import as an .xlsx, for whoever has to mend the sheet."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import xlsxwriter

from gbs_actor.sheets.problem import Problem

_COLUMNS: Final = (("행", 6), ("부서", 6), ("학년", 6), ("이름", 12), ("연락처", 16), ("내용", 80))


def write_problems(problems: Iterable[Problem], now: datetime) -> bytes:
    """Return one list of problems as an .xlsx: a row each.

    :param now: UTC; the file says when it was made.
    """
    output = io.BytesIO()
    with xlsxwriter.Workbook(output, {"in_memory": True}) as workbook:
        workbook.set_properties({"created": now})
        sheet = workbook.add_worksheet("확인할 내용")
        bold = workbook.add_format({"bold": True})
        text = workbook.add_format({"num_format": "@"})
        for column, (title, width) in enumerate(_COLUMNS):
            sheet.write_string(0, column, title, bold)
            sheet.set_column(column, column, width)
        for index, problem in enumerate(problems, 1):
            cells = (
                "" if problem.row is None else str(problem.row),
                problem.department,
                problem.grade,
                problem.name,
                problem.phone,
                problem.message,
            )
            for column, cell in enumerate(cells):
                if cell:
                    sheet.write_string(index, column, cell, text)
        sheet.freeze_panes(1, 0)
    return output.getvalue()
