"""The bodies of the commands that may change many fields: bulk edits, groups, undo.

Values that break a rule of the line-up are refused by the domain, which lists all of them at
once; here only what is not of the right type is.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Annotated, Final, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gbs_actor.contract.decoding import (
    GivenId,
    Id,
    InvalidPayload,
    Revision,
    check_revision,
    from_rule,
    one_id,
    required,
    whole,
)
from gbs_actor.contract.payloads import Epoch, GuardBody
from gbs_actor.lineup.commands import Assignment, BulkAssign, OnConflict, Undo
from gbs_actor.lineup.rules import (
    CURRENT_LEADER_LENGTH,
    GROUP_MEMO_LENGTH,
    LAST_LINEUP_NUMBER,
    LAST_NUMBER,
    MAX_ASSIGNMENTS,
    MAX_NEW_GROUPS,
    InvalidValue,
    check_group_number,
)

MAX_LEADERS: Final = 100
"""People that are made leaders of a group at once, at most."""

_Number = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_NUMBER})] | float
_LineupNumber = (
    Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_LINEUP_NUMBER})] | float
)
_GroupNumber = (
    Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": LAST_NUMBER})]
    | Annotated[str, Meta(extra_json_schema={"pattern": "^[1-9][0-9]{0,3}$"})]
    | float
)

_DIGITS: Final = re.compile(r"[0-9]{1,4}")


def _text(length: int) -> Meta:
    return Meta(extra_json_schema={"maxLength": length, "pattern": "^[^\\u0000]*$"})


class AssignmentBody(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """One person, and the new values of their fields."""

    lineup_id: Id = None
    user_retreat_registration_id: Id = None
    gbs_number: _Number | UnsetType | None = UNSET
    is_leader: bool | UnsetType = UNSET
    current_leader_name: Annotated[str, _text(CURRENT_LEADER_LENGTH)] | UnsetType = UNSET
    lineup_number: _LineupNumber | UnsetType | None = UNSET
    base_revision: Revision | None = None

    @classmethod
    def of(cls, assignment: Assignment) -> AssignmentBody:
        """Return an assignment as a client sends it."""
        return cls(
            user_retreat_registration_id=assignment.registration_id,
            gbs_number=assignment.gbs_number,
            is_leader=assignment.is_leader,
            current_leader_name=assignment.current_leader,
            lineup_number=assignment.lineup_number,
            base_revision=assignment.base_revision,
        )

    def assignment(self) -> Assignment:
        """Return it as the domain has it.

        :raises InvalidPayload: there is no id, or a wrong one, or the revision is none.
        """
        return Assignment(
            one_id(
                ("lineupId", self.lineup_id),
                ("userRetreatRegistrationId", self.user_retreat_registration_id),
            ),
            # A float with a fraction goes on as it is: the domain refuses it with the others.
            cast("int | UnsetType | None", whole(self.gbs_number)),
            self.is_leader,
            self.current_leader_name,
            cast("int | UnsetType | None", whole(self.lineup_number)),
            check_revision("baseRevision", self.base_revision),
        )


class BulkBody(GuardBody, rename="camel"):
    """New values of the fields of many people."""

    assignments: (
        Annotated[
            list[AssignmentBody],
            Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_ASSIGNMENTS}),
        ]
        | UnsetType
    ) = UNSET
    apply_lineup_number: bool = False
    on_conflict: OnConflict = "refuse"

    def action(self) -> BulkAssign:
        """Return the action.

        :raises InvalidPayload: there are no items, or too many; or one has no id.
        """
        items = required("assignments", self.assignments)
        _check_count("assignments", items, MAX_ASSIGNMENTS)
        assignments = []
        for index, item in enumerate(items):
            try:
                assignments.append(item.assignment())
            except InvalidPayload as invalid:
                field = f"assignments[{index}].{invalid.field}"
                raise InvalidPayload(field, f"assignments[{index}]: {invalid.message}") from None
        return BulkAssign(tuple(assignments), self.apply_lineup_number, self.on_conflict)


class CreateGroupsBody(GuardBody, rename="camel"):
    """The numbers of new groups."""

    gbs_numbers: (
        Annotated[
            list[_GroupNumber],
            Meta(
                description="Two are a range with both its ends; else it is a list.",
                extra_json_schema={"minItems": 1, "maxItems": MAX_NEW_GROUPS},
            ),
        ]
        | UnsetType
    ) = UNSET

    def numbers(self) -> tuple[int, ...]:
        """Return all numbers.

        :raises InvalidPayload: there are none, or too many; or one of them is no number.
        """
        given = required("gbsNumbers", self.gbs_numbers)
        _check_count("gbsNumbers", given, MAX_NEW_GROUPS)
        numbers = [_group_number("gbsNumbers", each) for each in given]
        if len(numbers) == 2:
            first, last = sorted(numbers)
            numbers = list(range(first, last + 1))
            _check_count("gbsNumbers", numbers, MAX_NEW_GROUPS)
        return tuple(numbers)


class GroupBody(GuardBody, rename="camel"):
    """A group, by its number."""

    gbs_number: _GroupNumber | UnsetType = UNSET

    def number(self) -> int:
        """Return the group's number.

        :raises InvalidPayload: there is none, or no group can have it.
        """
        return _group_number("gbsNumber", required("gbsNumber", self.gbs_number))


class DeleteGroupBody(GroupBody, rename="camel"):
    """A group to delete."""

    if_empty: bool = False


class AssignLeadersBody(GroupBody, rename="camel"):
    """A group, and who leads it from now on, too."""

    leader_user_ids: (
        Annotated[list[GivenId], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_LEADERS})]
        | UnsetType
    ) = UNSET

    def user_ids(self) -> tuple[int, ...]:
        """Return the ids of the users.

        :raises InvalidPayload: there are none, or too many; or one is no id.
        """
        ids = required("leaderUserIds", self.leader_user_ids)
        _check_count("leaderUserIds", ids, MAX_LEADERS)
        return tuple(one_id(("leaderUserIds", each)) for each in ids)


class GroupMemoBody(GroupBody, rename="camel"):
    """A group, and its memo."""

    memo: Annotated[str, _text(GROUP_MEMO_LENGTH)] | UnsetType = UNSET

    def text(self) -> str:
        """Return the memo.

        :raises InvalidPayload: there is none.
        """
        return required("memo", self.memo)


class UndoBody(GuardBody, rename="camel"):
    """The change to undo: by the id of its command, or by its revision and the epoch of that.

    The ``commandId`` is that of the change: the undo's own id is the ``idempotencyKey``.
    """

    command_id: UUID | None = None
    idempotency_key: UUID | None = None
    revision: Revision | None = None
    epoch: Epoch | None = None
    on_conflict: OnConflict = "refuse"

    @property
    def own_id(self) -> UUID | None:
        """The id that makes a repeat of the undo one."""
        return self.idempotency_key

    def action(self) -> Undo:
        """Return the action.

        :raises InvalidPayload: no change is named, or two are, or the epoch is missing.
        """
        revision = check_revision("revision", self.revision)
        if (self.command_id is None) is (revision is None):
            raise InvalidPayload("commandId", "Give either commandId, or revision and epoch.")
        if revision is not None and self.epoch is None:
            raise InvalidPayload("epoch", "epoch is required with revision.")
        return Undo(self.command_id, revision, self.on_conflict)


def _check_count(field: str, items: Sized, most: int) -> None:
    if not 1 <= len(items) <= most:
        raise InvalidPayload(field, f"{field} must be 1 to {most:,} at once.")


def _group_number(field: str, given: object) -> int:
    """Return a group's number that is given as a number, or as its digits in a string."""
    if isinstance(given, str) and _DIGITS.fullmatch(given):
        given = int(given)
    try:
        return check_group_number(whole(given))
    except InvalidValue as error:
        raise InvalidPayload(field, from_rule(error).message) from None
