"""The table of the commands: one entry each, for all transports.

Socket.IO, plain WebSocket, HTTP, its OpenAPI description and the Python client read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

from gbs_actor.contract.command_spec import BULK_BODY, CommandSpec, Route, Target
from gbs_actor.contract.events import ClientEvent, CommandEvent
from gbs_actor.contract.payloads import AssignBody, GuardBody, MemoBody, NumberBody
from gbs_actor.contract.planned_payloads import (
    AssignLeadersBody,
    BulkBody,
    CreateGroupsBody,
    DeleteGroupBody,
    GroupBody,
    GroupMemoBody,
    UndoBody,
)
from gbs_actor.lineup.commands import (
    Action,
    AssignLeaders,
    AssignNumber,
    BulkAssign,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    SingleAction,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)

_REGISTRATION: Final = Target("registrationId", ("lineupId", "userRetreatRegistrationId"))
_GROUP: Final = Target("gbsNumber", ("gbsNumber",))
_MEMO: Final = Target("memoId", ("memoId", "userRetreatRegistrationMemoId"))
GROUP_ID: Final = "gbsId"
"""The parameter of a path that has a group's id in place of its number; see ``gbslist``."""
_MEMO_EXAMPLE: Final = {"memo": "같은 조 희망", "color": "#FFCC00"}

COMMANDS: Final[tuple[CommandSpec[Any], ...]] = (
    CommandSpec(
        AssignNumber,
        event=CommandEvent.UPDATE_GBS_NUMBER,
        legacy_code="UPDATE_FAILED",
        target=_REGISTRATION,
        body=NumberBody,
        make=lambda registration, body: AssignNumber(registration, body.number()),
        routes=(
            Route(
                "PUT",
                "/user-lineups/{registrationId}",
                "assignNumber",
                "Put a person into a group, or into none.",
                "A group that does not exist yet is created. A leader's group is not changed "
                "this way (LEADER_LOCKED).",
                parameter="registrationId",
                example={"gbsNumber": 7},
            ),
            Route(
                "POST",
                "/assign-gbs",
                "assignGbs",
                "The same, with the person in the body.",
                body=AssignBody,
                example={"userRetreatRegistrationId": 1, "gbsNumber": 7},
            ),
        ),
    ),
    CommandSpec(
        CreateMemo,
        event=CommandEvent.CREATE_LINEUP_MEMO,
        legacy_code="CREATE_MEMO_FAILED",
        target=_REGISTRATION,
        body=MemoBody,
        make=lambda registration, body: CreateMemo(registration, *body.cleaned()),
        routes=(
            Route(
                "POST",
                "/{id}/lineup-memo",
                "createMemo",
                "Write the line-up memo that a person does not have yet.",
                "There is one per person: a second one is a CONFLICT, unless it is the same.",
                parameter="memoOwner",
                example=_MEMO_EXAMPLE,
            ),
        ),
    ),
    CommandSpec(
        UpdateMemo,
        event=CommandEvent.UPDATE_LINEUP_MEMO,
        legacy_code="UPDATE_MEMO_FAILED",
        target=_MEMO,
        body=MemoBody,
        make=lambda memo, body: UpdateMemo(memo, *body.cleaned()),
        routes=(
            Route(
                "PUT",
                "/{id}/lineup-memo",
                "updateMemo",
                "Replace a memo's text and colour.",
                "An absent colour clears it.",
                parameter="memo",
                example=_MEMO_EXAMPLE,
            ),
        ),
    ),
    CommandSpec(
        DeleteMemo,
        event=CommandEvent.DELETE_LINEUP_MEMO,
        legacy_code="DELETE_MEMO_FAILED",
        target=_MEMO,
        body=GuardBody,
        make=lambda memo, _body: DeleteMemo(memo),
        routes=(
            Route("DELETE", "/{id}/lineup-memo", "deleteMemo", "Delete a memo.", parameter="memo"),
        ),
    ),
    CommandSpec(
        BulkAssign,
        event=CommandEvent.BULK_ASSIGN_GBS,
        legacy_code="UPDATE_FAILED",
        body=BulkBody,
        make=lambda _, body: body.action(),
        routes=(
            Route(
                "POST",
                "/bulk-assign-gbs",
                "bulkAssign",
                "Change fields of many people as one change.",
                "The items are simultaneous; a field that an item leaves out stays as it is. All "
                "or nothing, and the error lists every problem; with `onConflict: skip` what has "
                "a problem is left out whole, and listed.",
                example={"assignments": [{"userRetreatRegistrationId": 1, "gbsNumber": 7}]},
                max_body=BULK_BODY,
            ),
        ),
    ),
    CommandSpec(
        CreateGroups,
        event=CommandEvent.CREATE_GBS,
        legacy_code="UPDATE_FAILED",
        body=CreateGroupsBody,
        make=lambda _, body: CreateGroups(body.numbers()),
        routes=(
            Route(
                "POST",
                "/create-gbs",
                "createGroups",
                "Create groups.",
                "Two numbers are a range with both its ends, else they are a list. Groups that "
                "exist stay as they are.",
                example={"gbsNumbers": [1, 12]},
            ),
        ),
    ),
    CommandSpec(
        DeleteGroup,
        event=CommandEvent.DELETE_GBS,
        legacy_code="UPDATE_FAILED",
        body=DeleteGroupBody,
        make=lambda _, body: DeleteGroup(body.number(), body.if_empty),
        routes=(
            Route(
                "DELETE",
                "/delete-gbs",
                "deleteGroup",
                "Delete a group and its memo.",
                "Its members are in no group then, and lead none; with `ifEmpty` a group with "
                "members is GROUP_NOT_EMPTY.",
                example={"gbsNumber": 12, "ifEmpty": True},
            ),
        ),
    ),
    CommandSpec(
        AssignLeaders,
        event=CommandEvent.ASSIGN_GBS_LEADERS,
        legacy_code="UPDATE_FAILED",
        body=AssignLeadersBody,
        make=lambda _, body: AssignLeaders(body.number(), body.user_ids()),
        routes=(
            Route(
                "POST",
                "/assign-gbs-leaders",
                "assignLeaders",
                "Put people into a group as its leaders, in addition to those it has.",
                example={"gbsNumber": 7, "leaderUserIds": [1]},
            ),
        ),
    ),
    CommandSpec(
        UnassignLeaders,
        event=CommandEvent.UNASSIGN_GBS_LEADERS,
        legacy_code="UPDATE_FAILED",
        target=_GROUP,
        body=GuardBody,
        make=lambda number, _: UnassignLeaders(number),
        routes=(
            Route(
                "DELETE",
                "/{gbsId}/unassign-gbs-leaders",
                "unassignLeaders",
                "Make the leaders of a group ordinary members of it.",
                parameter=GROUP_ID,
            ),
        ),
    ),
    CommandSpec(
        SetGroupMemo,
        event=CommandEvent.UPDATE_LINEUP_GBS_MEMO,
        legacy_code="UPDATE_MEMO_FAILED",
        body=GroupMemoBody,
        make=lambda _, body: SetGroupMemo(body.number(), body.text()),
        routes=(
            Route(
                "PUT",
                "/lineup-gbs-memo",
                "updateGroupMemo",
                "Write a group's memo.",
                example={"gbsNumber": 7, "memo": "2층"},
            ),
        ),
    ),
    CommandSpec(
        SetGroupMemo,
        event=CommandEvent.DELETE_LINEUP_GBS_MEMO,
        legacy_code="DELETE_MEMO_FAILED",
        body=GroupBody,
        make=lambda _, body: SetGroupMemo(body.number(), None),
        routes=(
            Route(
                "DELETE",
                "/lineup-gbs-memo",
                "deleteGroupMemo",
                "Delete a group's memo.",
                example={"gbsNumber": 7},
            ),
        ),
    ),
    CommandSpec(
        Undo,
        event=CommandEvent.UNDO,
        legacy_code="UPDATE_FAILED",
        body=UndoBody,
        make=lambda _, body: body.action(),
        routes=(
            Route(
                "POST",
                "/undo",
                "undo",
                "Put back what an earlier change has written.",
                "Of others' changes for operators only. A field that was changed since is a "
                "CONFLICT; with `onConflict: skip` it is left out, and listed. To undo an undo is "
                "to redo.",
                example={"commandId": "7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10"},
            ),
        ),
    ),
)

BY_EVENT: Final[Mapping[str, CommandSpec[Any]]] = MappingProxyType(
    {spec.event: spec for spec in COMMANDS}
)
"""The commands by the names of their events."""
BY_ACTION: Final[Mapping[type[Action], CommandSpec[Any]]] = MappingProxyType(
    {spec.action: spec for spec in COMMANDS if spec.action in get_args(SingleAction)}
)
"""The commands on one field of one person, by their actions."""

LEGACY_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ClientEvent.JOIN_RETREAT: "JOIN_FAILED",
        **{spec.event: spec.legacy_code for spec in COMMANDS},
    }
)
"""By event, the error code for clients older than :class:`~gbs_actor.lineup.codes.Code`."""
