"""What is checked before a command is sent."""

from __future__ import annotations

from msgspec import UNSET

from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.rules import InvalidValue, check_number


def check_action(action: Action, base_revision: int | None) -> None:
    """Refuse numbers that JSON would change: NaN becomes null, and null means "in no group".

    :raises InvalidValue: not an integer, or outside its range.
    """
    if isinstance(action, AssignNumber):
        check_number(action.gbs_number)
    if isinstance(action, UpdateMemo | DeleteMemo):
        check_integer("memo_id", action.memo_id)
    elif isinstance(action, AssignNumber | CreateMemo):
        check_integer("registration_id", action.registration_id)
    if base_revision is not None:
        check_integer("base_revision", base_revision)


def check_assignment(item: Assignment) -> None:
    """Refuse the same in an assignment; ranges are left to the server, which lists all problems.

    :raises InvalidValue: not an integer.
    """
    check_integer("registration_id", item.registration_id)
    for name, value in (
        ("gbs_number", item.gbs_number),
        ("lineup_number", item.lineup_number),
        ("base_revision", item.base_revision),
    ):
        if value is not None and value is not UNSET:
            check_integer(name, value)


def check_integer(name: str, value: object) -> None:
    """Refuse what is not an integer.

    :raises InvalidValue: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue(name, f"an integer is needed, not {value!r}")
