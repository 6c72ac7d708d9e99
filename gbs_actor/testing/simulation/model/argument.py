"""What a client asks for by the argument of an event, read by the wire contract."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET

from gbs_actor.contract.events import CommandEvent
from gbs_actor.lineup.commands import (
    Action,
    AssignLeaders,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.text import is_blank, trimmed

LAST_ID: Final = 2**63 - 1
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")


class Malformed(ValueError):
    """An argument that is refused whatever the line-up is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for."""

    action: Action
    user_id: int
    base: int | None = None
    """The ``baseRevision``."""
    epoch: str | None = None
    outside: bool = False
    """Whether it is in no room; over HTTP nobody is in one, and this is ``False``."""
    operator: bool = False


def asked(
    event: str, argument: object, user_id: int, *, outside: bool = False, operator: bool = False
) -> Asked:
    """Return what a client asks for by the event of a command.

    :raises Malformed: the argument is none that the event takes.
    """
    if not isinstance(argument, Mapping):
        raise Malformed("it is no object")
    _uuid(argument, "commandId")
    slug, epoch = argument.get("retreatSlug"), argument.get("epoch")
    _check(slug is None or (isinstance(slug, str) and 0 < len(slug) <= 200 and "\0" not in slug))
    _check(epoch is None or (isinstance(epoch, str) and len(epoch) <= 200 and "\0" not in epoch))
    base = _revision(argument, "baseRevision")
    action = _ACTIONS[event](argument)
    return Asked(action, user_id, base, epoch, outside, operator)


def target_of(action: Action) -> int | None:
    """Return the registration that an action names, or that it names first."""
    if isinstance(action, AssignNumber | CreateMemo):
        return action.registration_id
    return action.assignments[0].registration_id if isinstance(action, BulkAssign) else None


def _check(right: bool) -> None:
    if not right:
        raise Malformed


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_int(value: Any, first: int, last: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and first <= value <= last


def _revision(of: Mapping[str, Any], name: str) -> int | None:
    value = _whole(of.get(name))
    _check(value is None or _is_int(value, 0, LAST_ID))
    return value if isinstance(value, int) else None


def _uuid(of: Mapping[str, Any], name: str) -> UUID | None:
    value = of.get(name)
    if value is None:
        return None
    _check(isinstance(value, str))
    try:
        return UUID(value)
    except ValueError:
        raise Malformed from None


def _as_id(value: Any) -> int:
    value = _whole(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    _check(_is_int(value, 1, LAST_ID))
    return int(value)


def _id(of: Mapping[str, Any], *names: str) -> int:
    ids = {_as_id(of[name]) for name in names if of.get(name) is not None}
    _check(len(ids) == 1)
    return ids.pop()


def _registration(of: Mapping[str, Any]) -> int:
    return _id(of, "lineupId", "userRetreatRegistrationId")


def _memo_id(of: Mapping[str, Any]) -> int:
    return _id(of, "memoId", "userRetreatRegistrationMemoId")


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _memo(of: Mapping[str, Any]) -> tuple[str, str]:
    text, color = of.get("memo"), of.get("color")
    if not isinstance(text, str) or not (color is None or isinstance(color, str)):
        raise Malformed
    if not color or color == "transparent":
        color = ""
    _check(color == "" or _COLOR.fullmatch(color) is not None)
    text = trimmed(text)
    _check(len(text) <= 2_000 and _is_storable(text))
    if is_blank(text):
        text = ""
    _check(bool(text or color))
    return text, color.upper()


def _number(of: Mapping[str, Any]) -> int | None:
    _check("gbsNumber" in of)
    value = _whole(of["gbsNumber"])
    _check(value is None or _is_int(value, 1, 9_999))
    return value if isinstance(value, int) else None


def _group(value: Any) -> int:
    value = _whole(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 4:
        value = int(value)
    _check(_is_int(value, 1, 9_999))
    return int(value)


def _flag(of: Mapping[str, Any], name: str) -> bool:
    value = of.get(name, False)
    _check(isinstance(value, bool))
    return bool(value)


def _list(of: Mapping[str, Any], name: str, most: int) -> list[Any]:
    value = of.get(name)
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= most:
        raise Malformed
    return list(value)


def _on_conflict(of: Mapping[str, Any]) -> Any:
    value = of.get("onConflict", "refuse")
    _check(value in ("refuse", "skip"))
    return value


def _assignment(item: Any) -> Assignment:
    if not isinstance(item, Mapping):
        raise Malformed
    values: dict[str, Any] = {}
    for name, attribute, types in (
        ("gbsNumber", "gbs_number", (int, float, type(None))),
        ("isLeader", "is_leader", (bool,)),
        ("currentLeaderName", "current_leader", (str,)),
        ("lineupNumber", "lineup_number", (int, float, type(None))),
    ):
        value = item.get(name, UNSET)
        is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        _check(value is UNSET or is_right)
        values[attribute] = _whole(value)
    return Assignment(_registration(item), **values, base_revision=_revision(item, "baseRevision"))


def _bulk(of: Mapping[str, Any]) -> Action:
    items = [_assignment(item) for item in _list(of, "assignments", 2_000)]
    return BulkAssign(tuple(items), _flag(of, "applyLineupNumber"), _on_conflict(of))


def _create_groups(of: Mapping[str, Any]) -> Action:
    numbers = [_group(value) for value in _list(of, "gbsNumbers", 1_000)]
    if len(numbers) == 2:
        numbers = list(range(min(numbers), max(numbers) + 1))
        _check(len(numbers) <= 1_000)
    return CreateGroups(tuple(numbers))


def _assign_leaders(of: Mapping[str, Any]) -> Action:
    users = tuple(_as_id(user) for user in _list(of, "leaderUserIds", 100))
    return AssignLeaders(_group(of.get("gbsNumber")), users)


def _group_memo(of: Mapping[str, Any]) -> Action:
    memo = of.get("memo")
    _check(isinstance(memo, str))
    return SetGroupMemo(_group(of.get("gbsNumber")), memo)


def _undo(of: Mapping[str, Any]) -> Action:
    _uuid(of, "idempotencyKey")
    command_id, revision = _uuid(of, "commandId"), _revision(of, "revision")
    _check((command_id is None) is not (revision is None))
    _check(revision is None or of.get("epoch") is not None)
    return Undo(command_id, revision, _on_conflict(of))


_ACTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], Action]]] = {
    CommandEvent.UPDATE_GBS_NUMBER: lambda of: AssignNumber(_registration(of), _number(of)),
    CommandEvent.CREATE_LINEUP_MEMO: lambda of: CreateMemo(_registration(of), *_memo(of)),
    CommandEvent.UPDATE_LINEUP_MEMO: lambda of: UpdateMemo(_memo_id(of), *_memo(of)),
    CommandEvent.DELETE_LINEUP_MEMO: lambda of: DeleteMemo(_memo_id(of)),
    CommandEvent.BULK_ASSIGN_GBS: _bulk,
    CommandEvent.CREATE_GBS: _create_groups,
    CommandEvent.DELETE_GBS: lambda of: DeleteGroup(
        _group(of.get("gbsNumber")), _flag(of, "ifEmpty")
    ),
    CommandEvent.ASSIGN_GBS_LEADERS: _assign_leaders,
    CommandEvent.UNASSIGN_GBS_LEADERS: lambda of: UnassignLeaders(_as_id(of.get("gbsNumber"))),
    CommandEvent.UPDATE_LINEUP_GBS_MEMO: _group_memo,
    CommandEvent.DELETE_LINEUP_GBS_MEMO: lambda of: SetGroupMemo(_group(of.get("gbsNumber")), None),
    CommandEvent.UNDO: _undo,
}
