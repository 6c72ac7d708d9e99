"""How the actions on groups and their leaders become plans."""

from __future__ import annotations

from gbs_actor.lineup.basis import is_unseen
from gbs_actor.lineup.changes import Problem, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    AssignLeaders,
    Command,
    CreateGroups,
    DeleteGroup,
    SetGroupMemo,
    UnassignLeaders,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.plan import Plan
from gbs_actor.lineup.problems import conflict, rejection
from gbs_actor.lineup.rules import (
    MAX_NEW_GROUPS,
    InvalidValue,
    check_group_number,
    clean_group_memo,
)
from gbs_actor.lineup.state import State
from gbs_actor.lineup.text import comparable

GroupAction = CreateGroups | DeleteGroup | AssignLeaders | UnassignLeaders | SetGroupMemo


def plan_groups(
    action: GroupAction, command: Command, state: State, epoch: str
) -> Plan | Rejection:
    """Plan an action on groups: all of it or, for one or more problems, nothing.

    :raises InvalidValue: a value breaks a rule.
    """
    match action:
        case CreateGroups():
            return _create(action, state)
        case DeleteGroup():
            plan = _delete(action, state)
        case AssignLeaders():
            plan = _assign_leaders(action, state)
        case UnassignLeaders():
            plan = _unassign_leaders(action, state)
        case SetGroupMemo():
            plan = _set_memo(action, state)
    if isinstance(plan, Rejection):
        return plan
    conflicts = []
    for key, new in plan.values.items():
        theirs, stamp = state.field(key)
        if theirs != new.value and is_unseen(stamp, command.base_revision, command, epoch):
            conflicts.append(conflict(key, theirs, stamp))
    return rejection(conflicts) if conflicts else plan


def _create(action: CreateGroups, state: State) -> Plan:
    if len(action.gbs_numbers) > MAX_NEW_GROUPS:
        raise InvalidValue("gbsNumbers", f"there are at most {MAX_NEW_GROUPS:,} at once")
    plan = Plan()
    for number in sorted({check_group_number(each) for each in action.gbs_numbers}):
        if not state.has_group(number):
            plan.group(number, Field.EXISTS, True)
    return plan


def _delete(action: DeleteGroup, state: State) -> Plan | Rejection:
    number = action.gbs_number
    if not state.has_group(number):
        return _no_group(number)
    members = state.members.get(number) or ()
    if members and action.if_empty:
        return Rejection(Code.GROUP_NOT_EMPTY, f"Group {number} has {len(members)} members")
    plan = Plan()
    plan.group(number, Field.EXISTS, False)
    plan.group(number, Field.GBS_MEMO, "")
    for id_ in members:
        plan.person(id_, Field.GBS_NUMBER, None)
        plan.person(id_, Field.IS_LEADER, False)
    return plan


def _assign_leaders(action: AssignLeaders, state: State) -> Plan | Rejection:
    number = check_group_number(action.gbs_number)
    plan = Plan()
    unknown = []
    for index, user_id in enumerate(action.user_ids):
        id_ = state.users.get(user_id)
        if id_ is None:
            message = f"There is no registration of user {user_id}"
            unknown.append(Problem(Code.NOT_FOUND, message, index))
        else:
            plan.person(id_, Field.GBS_NUMBER, number)
            plan.person(id_, Field.IS_LEADER, True)
    return rejection(unknown) if unknown else plan


def _unassign_leaders(action: UnassignLeaders, state: State) -> Plan | Rejection:
    if not state.has_group(action.gbs_number):
        return _no_group(action.gbs_number)
    plan = Plan()
    for id_ in state.members.get(action.gbs_number) or ():
        plan.person(id_, Field.IS_LEADER, False)
    return plan


def _set_memo(action: SetGroupMemo, state: State) -> Plan | Rejection:
    number = action.gbs_number
    if not state.has_group(number):
        return _no_group(number)
    memo = clean_group_memo(action.memo)
    plan = Plan()
    theirs, _ = state.field((None, number, Field.GBS_MEMO))
    if comparable(str(theirs)) != comparable(memo):
        plan.group(number, Field.GBS_MEMO, memo)
    return plan


def _no_group(number: int) -> Rejection:
    return Rejection(Code.NOT_FOUND, f"There is no group {number}")
