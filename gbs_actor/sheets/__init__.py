"""The line-up as a spreadsheet: written, read again, and compared with the list.

::

    rows ── write_roster() ──> .xlsx ~~ people at a spreadsheet ~~> file or pasted text
                                                                        |
    Preview <── preview_import(sheets, rows, …) <── Sheet … <── SheetReader.read()

- ``heading``, ``schedule``: the columns. ``roster`` writes them, and the template.
- ``reader``: reads files in a child process, ``child``, within limits; ``unreadable`` says why
  one cannot be read. The only part that knows Trio.
- ``cell``: what was read, and what people mean by it. ``layout`` finds the table, ``person`` the
  people, ``edit`` what a row says of them, ``not_imported`` what else it has; ``preview`` compares.
- ``problem``: what stands in the way; ``problem_list`` writes it as a spreadsheet.
"""

from gbs_actor.sheets.edit import CellEdit, Field, Fields
from gbs_actor.sheets.person import Origin
from gbs_actor.sheets.preview import FieldsAt, Preview, preview_import
from gbs_actor.sheets.problem import Problem, ProblemCode
from gbs_actor.sheets.problem_list import write_problems
from gbs_actor.sheets.reader import ReadLimits, SheetReader
from gbs_actor.sheets.roster import write_roster, write_template
from gbs_actor.sheets.unreadable import Unreadable, UnreadableCode

__all__ = [
    "CellEdit",
    "Field",
    "Fields",
    "FieldsAt",
    "Origin",
    "Preview",
    "Problem",
    "ProblemCode",
    "ReadLimits",
    "SheetReader",
    "Unreadable",
    "UnreadableCode",
    "preview_import",
    "write_problems",
    "write_roster",
    "write_template",
]
