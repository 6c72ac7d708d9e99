"""What a sheet would change in the line-up, and what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from gbs_actor.lineup.records import Row
from gbs_actor.lineup.rules import MAX_ASSIGNMENTS
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.sheets.cell import Line, Sheet, mark_of, text_of
from gbs_actor.sheets.edit import CellEdit, Field, Fields, fault_in_name, is_same, values_of
from gbs_actor.sheets.heading import Heading
from gbs_actor.sheets.layout import Layout, Table, find_table
from gbs_actor.sheets.not_imported import differing
from gbs_actor.sheets.person import Found, Origin, People, row_problem
from gbs_actor.sheets.problem import NOTICES, WARNINGS, Problem, ProblemCode
from gbs_actor.sheets.schedule import labelled

_SHOWN_ROWS = 10
"""Rows that a notice lists."""


class Preview(msgspec.Struct, frozen=True, rename="camel"):
    """An import before it is applied."""

    sheets: tuple[str, ...]
    """The names of all sheets of the file."""
    layout: Layout | None
    """``None``: no sheet has the header."""
    changes: tuple[CellEdit, ...]
    """In the order of the sheet."""
    blocks: tuple[Problem, ...]
    """As long as there is one, the import cannot be applied."""
    warnings: tuple[Problem, ...]
    """Have to be acknowledged."""
    notices: tuple[Problem, ...]
    """Need not be."""


FieldsAt = Callable[[Origin], Fields | None]
"""Returns the fields of ``registration_id`` at ``revision``; ``None``: that is pruned, or no
revision of this list (as one of another epoch, which the export id shows)."""


def preview_import(
    sheets: Sequence[Sheet],
    rows: Sequence[Row],
    schedules: Iterable[Schedule],
    *,
    revision: int,
    fields_at: FieldsAt,
    lineup_numbers: Mapping[int, int | None] | None = None,
    apply_lineup_number: bool = False,
) -> Preview:
    """Compare what was read from a file with the list.

    ``조번호`` is gbsNumber (empty: as it is; a dash: in no group), ``리더`` isLeader, ``현리더``
    currentLeader, ``No.`` lineupNumber. People number rows anew when they have sorted them: the
    last counts only with ``apply_lineup_number``.

    Pure, without I/O; for long lists to be run in a thread.

    :param rows: the list at ``revision``.
    :param schedules: all of the retreat.
    :param lineup_numbers: by registration id, at ``revision``.
    """
    names = tuple(sheet.name for sheet in sheets)
    labels = labelled(schedules)
    table, problems = find_table(sheets, labels)
    if table is None:
        return Preview(names, None, (), problems, (), ())
    reported = list(problems)
    changes: list[CellEdit] = []
    not_imported: dict[Heading, list[int]] = {}
    for found in _found_people(table, rows, revision, reported):
        reported += _schedule_problems(table, found, labels)
        for heading in differing(table, found):
            not_imported.setdefault(heading, []).append(found.line.number)
        now = Fields.of(found.person, (lineup_numbers or {}).get(found.person.id))
        values, sentences = values_of(table, found.line, lineup_number=apply_lineup_number)
        base = found.origin and fields_at(found.origin)
        edits = {
            field: value
            for field, value in values.items()
            if not is_same((base or now).value(field), value)
        }
        if fault := fault_in_name(edits.get(Field.CURRENT_LEADER, "")):
            sentences.append(fault)
        reported += [
            row_problem(table, found.line, ProblemCode.INVALID_VALUE, sentence, found.person)
            for sentence in sentences
        ]
        if _takes_group_of_leader(now, edits):
            message = "리더는 조번호가 있어야 합니다."
            code = ProblemCode.LEADER_WITHOUT_GROUP
            reported.append(row_problem(table, found.line, code, message, found.person))
        changes += [
            CellEdit(
                registration_id=found.person.id,
                field=field,
                from_=(base or now).value(field),
                to=value,
                base_revision=found.origin.revision if found.origin and base else revision,
                export_id=None if found.origin is None else found.origin.export_id,
                row=found.line.number,
                name=found.person.name,
            )
            for field, value in edits.items()
        ]
    reported += map(_not_imported, not_imported.items())
    changed = len({change.registration_id for change in changes})
    if changed > MAX_ASSIGNMENTS:
        message = (
            f"{changed:,}명이 바뀝니다. 한 번에 {MAX_ASSIGNMENTS:,}명까지 바꿀 수 있으니 "
            "시트를 나누어 올려 주세요."
        )
        reported.append(Problem(ProblemCode.TOO_MANY_CHANGES, message))
    return Preview(
        names,
        table.layout,
        tuple(changes),
        tuple(problem for problem in reported if problem.code not in WARNINGS | NOTICES),
        tuple(problem for problem in reported if problem.code in WARNINGS),
        tuple(problem for problem in reported if problem.code in NOTICES),
    )


def _found_people(
    table: Table, rows: Sequence[Row], revision: int, reported: list[Problem]
) -> Iterator[Found]:
    """Yield the people of a sheet, each once; report who is not found, doubled or missing."""
    people = People(rows, revision)
    seen: dict[int, Line] = {}
    for line in table.lines:
        if _names_nobody(table, line):
            continue
        found, problem = people.find(table, line)
        if problem is not None:
            reported.append(problem)
        if found is None:
            continue
        first = seen.setdefault(found.person.id, line)
        if first is line:
            yield found
        else:
            message = f"같은 사람이 {first.number}행에도 있습니다."
            code = ProblemCode.DOUBLED_PERSON
            reported.append(row_problem(table, line, code, message, found.person))
    reported += [
        Problem(
            ProblemCode.NOT_IN_SHEET,
            "등록한 사람인데 시트에 없습니다.",
            registration_id=row.id,
            department=str(row.univ_group_number),
            grade=str(row.grade_number),
            name=row.name,
            phone=row.phone_number,
        )
        for row in rows
        if row.id not in seen
    ]


def _names_nobody(table: Table, line: Line) -> bool:
    """Return whether a row neither names nor assigns anybody, as a total or a remark."""
    headings = (Heading.NAME, Heading.PHONE, Heading.GBS_NUMBER)
    return not any(text_of(table.cell(line, heading)) for heading in headings)


def _schedule_problems(
    table: Table, found: Found, schedules: Mapping[str, Schedule]
) -> Iterator[Problem]:
    registered = found.person.user_retreat_registration_schedule_ids
    differing = [
        label
        for label, schedule in schedules.items()
        if label in table.columns
        and (mark_of(table.cell(found.line, label)) is not False) != (schedule.id in registered)
    ]
    if differing:
        message = f"일정이 등록된 것과 다릅니다: {', '.join(differing)}. 여기서는 바꿀 수 없습니다."
        code = ProblemCode.SCHEDULES_DIFFER
        yield row_problem(table, found.line, code, message, found.person)


def _not_imported(column: tuple[Heading, Sequence[int]]) -> Problem:
    heading, rows = column
    shown = ", ".join(f"{row}행" for row in rows[:_SHOWN_ROWS])
    more = f" 외 {len(rows) - _SHOWN_ROWS:,}행" if len(rows) > _SHOWN_ROWS else ""
    message = f"'{heading}' 열은 반영되지 않습니다. 명단과 다른 행: {shown}{more}"
    return Problem(ProblemCode.NOT_IMPORTED, message)


def _takes_group_of_leader(now: Fields, edits: Mapping[Field, object]) -> bool:
    """Return whether edits leave a leader in no group who was in one, or was no leader."""
    if Field.IS_LEADER not in edits and Field.GBS_NUMBER not in edits:
        return False
    is_leader = edits.get(Field.IS_LEADER, now.is_leader)
    return bool(is_leader) and edits.get(Field.GBS_NUMBER, now.gbs_number) is None
