"""How many assignments become one plan: each is checked against the state before all of them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from gbs_actor.lineup.basis import check_base, is_unseen
from gbs_actor.lineup.changes import Problem, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Assignment, BulkAssign, Command
from gbs_actor.lineup.fields import Field, Value, value_in
from gbs_actor.lineup.plan import Plan
from gbs_actor.lineup.problems import conflict, rejection
from gbs_actor.lineup.records import Registration
from gbs_actor.lineup.rules import (
    MAX_ASSIGNMENTS,
    InvalidValue,
    check_lineup_number,
    check_number,
    clean_current_leader,
)
from gbs_actor.lineup.state import State
from gbs_actor.lineup.text import comparable


def plan_bulk(action: BulkAssign, command: Command, state: State, epoch: str) -> Plan | Rejection:
    """Plan the assignments, or with "skip" those without a problem.

    A value or a base revision that no assignment can have, and the same person twice, refuse
    the whole in either case.

    :raises InvalidValue: there are too many.
    """
    if len(action.assignments) > MAX_ASSIGNMENTS:
        raise InvalidValue("assignments", f"there are at most {MAX_ASSIGNMENTS:,} at once")
    plan = Plan()
    malformed: list[Problem] = []
    problems: list[Problem] = []
    seen: set[int] = set()
    for index, item in enumerate(action.assignments):
        id_ = item.registration_id
        if id_ in seen:
            message = "the person occurs twice"
            malformed.append(_problem(Code.VALIDATION_FAILED, message, index, id_))
            continue
        seen.add(id_)
        try:
            wanted = list(_wanted(item, action.apply_lineup_number))
            check_base(item.base_revision, command, state.revision, epoch)
        except InvalidValue as error:
            malformed.append(_problem(Code.VALIDATION_FAILED, str(error), index, id_))
            continue
        registration = state.registrations.get(id_)
        if registration is None:
            message = f"There is no line-up row {id_}"
            problems.append(_problem(Code.NOT_FOUND, message, index, id_))
            continue
        differing = [
            (field, value)
            for field, value in wanted
            if not _is_same(value_in(registration, field)[0], value)
        ]
        found = _leader_problems(registration, item, index)
        if not found:
            base = command.base_revision if item.base_revision is None else item.base_revision
            for field, _ in differing:
                theirs, stamp = value_in(registration, field)
                if is_unseen(stamp, base, command, epoch):
                    found.append(conflict((id_, None, field), theirs, stamp, index))
        if found:
            problems += found
            continue
        for field, value in differing:
            plan.person(id_, field, value)
    if malformed or (problems and action.on_conflict == "refuse"):
        return rejection([*malformed, *problems])
    plan.skipped = tuple(problems)
    return plan


def _wanted(item: Assignment, apply_lineup_number: bool) -> Iterator[tuple[Field, Value]]:
    """Return the fields that an assignment sets, with their values as they are stored.

    :raises InvalidValue: a value breaks a rule.
    """
    if item.gbs_number is not UNSET:
        yield Field.GBS_NUMBER, check_number(item.gbs_number)
    if item.is_leader is not UNSET:
        yield Field.IS_LEADER, item.is_leader
    if item.current_leader is not UNSET:
        yield Field.CURRENT_LEADER, clean_current_leader(item.current_leader)
    if item.lineup_number is not UNSET:
        number = check_lineup_number(item.lineup_number)
        if apply_lineup_number:
            yield Field.LINEUP_NUMBER, number


def _leader_problems(registration: Registration, item: Assignment, index: int) -> list[Problem]:
    """Return why a leader cannot get, or lose, the group that an assignment gives them."""
    current = registration.gbs_number
    number = current if item.gbs_number is UNSET else item.gbs_number
    if item.is_leader is UNSET:
        if registration.is_leader and number != current:
            name = registration.person.name
            message = f"{name} leads a group and stays in it"
            return [_problem(Code.LEADER_LOCKED, message, index, registration.id, Field.GBS_NUMBER)]
    elif item.is_leader and number is None:
        message = "a leader needs a group"
        return [_problem(Code.VALIDATION_FAILED, message, index, registration.id, Field.IS_LEADER)]
    return []


def _is_same(theirs: Value, value: Value) -> bool:
    if isinstance(theirs, str) and isinstance(value, str):
        return comparable(theirs) == comparable(value)
    return theirs == value


def _problem(code: Code, message: str, index: int, id_: int, field: Field | None = None) -> Problem:
    return Problem(code, message, index, registration_id=id_, field=field)
