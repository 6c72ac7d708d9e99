"""Small line-ups, their exports, and sheets as people send them back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import openpyxl
from msgspec.structs import replace

from gbs_actor.lineup.records import Gender, Row, UserType
from gbs_actor.lineup.schedules import Schedule, ScheduleKind
from gbs_actor.sheets import child
from gbs_actor.sheets.cell import Sheet
from gbs_actor.sheets.edit import CellEdit, Fields
from gbs_actor.sheets.person import Origin
from gbs_actor.sheets.preview import Preview, preview_import
from gbs_actor.sheets.reader import ReadLimits
from gbs_actor.sheets.roster import write_roster

REVISION = 40
"""Of the list as it is when a sheet comes back."""
EXPORTED = 30
"""Of the list when it was exported."""

# Wednesday to Friday of a week in January 2026, in UTC: nine hours behind Korea.
SCHEDULES = (
    Schedule(11, datetime(2026, 1, 7, 3, 0, tzinfo=UTC), ScheduleKind.LUNCH),
    Schedule(12, datetime(2026, 1, 7, 9, 0, tzinfo=UTC), ScheduleKind.DINNER),
    Schedule(13, datetime(2026, 1, 7, 14, 0, tzinfo=UTC), ScheduleKind.SLEEP),
    Schedule(14, datetime(2026, 1, 7, 22, 30, tzinfo=UTC), ScheduleKind.BREAKFAST),
    Schedule(15, datetime(2026, 1, 9, 3, 0, tzinfo=UTC), ScheduleKind.LUNCH),
)
LABELS = ("수점", "수저", "수숙", "목아", "금점")

HEADER = (
    *("registrationId", "revision", "exportId"),
    *("No.", "리더", "ID", "조번호", "부서", "학년", "성별", "이름", "연락처"),
    *("전참여부", "현리더", "새돌/군인/새가족"),
    *LABELS,
)


def row(
    id_: int,
    number: int | None = None,
    *,
    name: str = "",
    phone: str = "",
    leader: bool = False,
    department: int = 3,
    grade: int = 2,
    current_leader: str = "이서연",
    user_type: UserType | None = None,
    schedules: Iterable[int] = (11, 12, 13, 14, 15),
) -> Row:
    schedules = tuple(schedules)
    return Row(
        id=id_,
        user_id=10_000 + id_,
        gbs_number=number,
        total_count=0,
        male_count=0,
        female_count=0,
        full_attendance_count=0,
        partial_attendance_count=0,
        univ_group_id=7,
        univ_group_number=department,
        grade_id=70 + grade,
        grade_number=grade,
        gender=Gender.FEMALE if id_ % 2 else Gender.MALE,
        name=name or f"사람{id_:02}",
        phone_number=phone or f"010-9999-{id_:04}",
        current_leader=current_leader,
        is_leader=leader,
        is_full_attendance=len(schedules) == len(SCHEDULES),
        gbs_memo="",
        lineup_memo="",
        lineup_memo_id=None,
        lineup_memocolor="",
        user_type=user_type,
        user_retreat_registration_schedule_ids=schedules,
        created_at="2026-01-01T00:00:00.000Z",
        updated_at="2026-01-01T00:00:00.000Z",
        unresolved_lineup_history_memo=None,
        admin_memo=None,
        revision=EXPORTED,
    )


def people(count: int = 12) -> list[Row]:
    """Groups of four with a leader each, and a last few people in none."""
    rows = [
        row(id_, 1 + (id_ - 1) // 4 if id_ <= count * 3 // 4 else None, leader=id_ % 4 == 1)
        for id_ in range(1, count + 1)
    ]
    return [
        replace(each, is_leader=each.is_leader and each.gbs_number is not None) for each in rows
    ]


MADE_AT = datetime(2024, 1, 19, 10, tzinfo=UTC)
"""When files are exported."""


def exported(rows: Sequence[Row], **options: Any) -> bytes:
    schedules = options.pop("schedules", SCHEDULES)
    return write_roster(rows, schedules, revision=EXPORTED, export_id="e-1", now=MADE_AT, **options)


def read(data: bytes) -> tuple[Sheet, ...]:
    """Read a file as the child does, in this process."""
    limits = ReadLimits()
    answer = child.read(data, limits.rows, limits.columns, limits.characters)
    assert "sheets" in answer, answer
    # By way of JSON, as the child answers: dates are objects there.
    return msgspec.json.decode(msgspec.json.encode(answer["sheets"]), type=tuple[Sheet, ...])


def previewed(
    sheets: bytes | Sequence[Sheet],
    rows: Sequence[Row],
    *,
    at_export: Sequence[Row] | None = None,
    schedules: Sequence[Schedule] = SCHEDULES,
    pruned: bool = False,
    **options: Any,
) -> Preview:
    """Preview an import into a list that was ``at_export`` when it was exported."""
    then = {each.id: Fields.of(each, None) for each in at_export or rows}

    def fields_at(origin: Origin) -> Fields | None:
        assert origin.export_id == "e-1"
        return None if pruned or origin.revision != EXPORTED else then[origin.registration_id]

    sheets = read(sheets) if isinstance(sheets, bytes) else sheets
    return preview_import(
        sheets, rows, schedules, revision=REVISION, fields_at=fields_at, **options
    )


def edits(changes: Iterable[CellEdit]) -> dict[tuple[int, str], Any]:
    """The new values by registration and field."""
    return {(change.registration_id, change.field.value): change.to for change in changes}


def is_without_effect(preview: Preview) -> bool:
    """Whether there is nothing to apply, and nothing to complain of either."""
    return not (preview.changes or preview.blocks or preview.warnings or preview.notices)


def codes(preview: Preview) -> tuple[list[str], list[str]]:
    """The codes of blocks and warnings."""
    return (
        [problem.code.value for problem in preview.blocks],
        [problem.code.value for problem in preview.warnings],
    )


def edited(data: bytes, edit: Callable[[Any], None]) -> bytes:
    """Return a workbook after somebody has edited its first sheet by openpyxl."""
    workbook = openpyxl.load_workbook(io.BytesIO(data))
    edit(workbook.worksheets[0])
    return saved(workbook)


def saved(workbook: Any) -> bytes:
    output = io.BytesIO()
    workbook.save(output)
    return output.getvalue()


def workbook(sheets: Mapping[str, Iterable[Sequence[Any]]]) -> bytes:
    """Return an .xlsx of the given rows, written by openpyxl."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for cells in rows:
            sheet.append(list(cells))
    return saved(made)


def with_sheet(xml: str | bytes) -> bytes:
    """Return an .xlsx whose only sheet has this content."""
    output = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook({"명단": [["x"]]}))) as original,
        zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in original.namelist():
            is_sheet = name == "xl/worksheets/sheet1.xml"
            made.writestr(name, xml if is_sheet else original.read(name))
    return output.getvalue()


def rows_of(data: bytes) -> list[list[Any]]:
    """The cells of the first sheet, as openpyxl reads them."""
    return [list(cells) for cells in openpyxl.load_workbook(io.BytesIO(data)).worksheets[0].values]


def column(name: str) -> int:
    """The number of a column of an export, from 1, as openpyxl counts."""
    return HEADER.index(name) + 1
