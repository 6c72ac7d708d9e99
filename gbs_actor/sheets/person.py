"""Which registered person a row of a sheet is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gbs_actor.lineup.records import Row
from gbs_actor.sheets.cell import Line, folded, number_of, phone_of, text_of
from gbs_actor.sheets.heading import HIDDEN, Heading
from gbs_actor.sheets.layout import Table
from gbs_actor.sheets.problem import Problem, ProblemCode

_Key = tuple[int | None, int | None, str, str]
"""Department, grade, name, digits of the telephone number."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The hidden values of a row: what it was exported from."""

    registration_id: int
    revision: int
    export_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the sheet and whom it is about."""

    line: Line
    person: Row
    origin: Origin | None
    """``None``: the row has no hidden values, or they are another person's."""


class People:
    """The people of a retreat as an import finds them.

    :param revision: of the list.
    """

    def __init__(self, rows: Iterable[Row], revision: int) -> None:
        self._revision = revision
        self._by_id = {row.id: row for row in rows}
        self._by_key: dict[_Key, list[Row]] = defaultdict(list)
        for row in self._by_id.values():
            key = (row.univ_group_number, row.grade_number, *_identity(row.name, row.phone_number))
            self._by_key[key].append(row)

    def find(self, table: Table, line: Line) -> tuple[Found | None, Problem | None]:
        """Return whom a row is about, and a block (then it is nobody) or a warning."""
        name, phone = table.cell(line, Heading.NAME), table.cell(line, Heading.PHONE)
        identity = _identity(text_of(name), phone_of(phone))
        origin = self._origin(table, line, identity)
        department = number_of(table.cell(line, Heading.DEPARTMENT))
        candidates = self._by_key.get(
            (department, number_of(table.cell(line, Heading.GRADE)), *identity), []
        )
        if origin is not None:
            person = self._by_id[origin.registration_id]
            if not candidates or person in candidates:
                return Found(line, person, origin), None
            code = ProblemCode.TWO_PEOPLE
            message = "숨긴 열의 등록 번호와 부서·학년·이름·연락처가 서로 다른 사람을 가리킵니다."
        elif len(candidates) > 1:
            code = ProblemCode.AMBIGUOUS
            message = "부서·학년·이름·연락처가 같은 사람이 명단에 여럿입니다."
        elif not candidates:
            code = ProblemCode.NOT_REGISTERED
            message = "부서·학년·이름·연락처가 일치하는 사람이 명단에 없습니다."
        else:
            found = Found(line, candidates[0], None)
            if all(table.cell(line, heading) is None for heading in HIDDEN):
                return found, None
            message = (
                "숨긴 열의 값이 이 사람의 것이 아니어서 무시하고 "
                "부서·학년·이름·연락처로 찾았습니다."
            )
            code = ProblemCode.HIDDEN_VALUES_IGNORED
            return found, row_problem(table, line, code, message, found.person)
        return None, row_problem(table, line, code, message)

    def _origin(self, table: Table, line: Line, identity: tuple[str, str]) -> Origin | None:
        """Return the hidden values, if they are of the person who is named beside them."""
        id_ = number_of(table.cell(line, Heading.REGISTRATION_ID))
        revision = number_of(table.cell(line, Heading.REVISION))
        person = self._by_id.get(id_ or 0)
        if (
            person is None
            or revision is None
            or revision > self._revision
            or identity != _identity(person.name, person.phone_number)
        ):
            return None
        return Origin(person.id, revision, text_of(table.cell(line, Heading.EXPORT_ID)))


def row_problem(
    table: Table, line: Line, code: ProblemCode, message: str, person: Row | None = None
) -> Problem:
    """Return a problem of a row, with what the row says of the person."""
    return Problem(
        code,
        message,
        row=line.number,
        registration_id=None if person is None else person.id,
        department=text_of(table.cell(line, Heading.DEPARTMENT)),
        grade=text_of(table.cell(line, Heading.GRADE)),
        name=text_of(table.cell(line, Heading.NAME)),
        phone=text_of(table.cell(line, Heading.PHONE)),
    )


def _identity(name: str, phone: str) -> tuple[str, str]:
    return folded(name), phone_of(phone)
