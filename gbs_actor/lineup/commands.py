"""What staff can ask of a line-up: typed, already well-formed commands.

An action is declared here and nowhere else in the domain: its tag is the kind of its log
entry, its members in alphabetical order are the request that the log stores, in full or as a
digest. What it does stands in :mod:`gbs_actor.lineup.draft` and, where it may change many
fields, in :mod:`~gbs_actor.lineup.bulk`, :mod:`~gbs_actor.lineup.groups` and
:mod:`~gbs_actor.lineup.undo`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace


@dataclass(frozen=True, slots=True)
class Author:
    """Who gives a command."""

    user_id: int
    name: str
    admin_user_id: int


class Kind(StrEnum):
    """What a log entry records."""

    ASSIGN_NUMBER = "assign-number"
    CREATE_MEMO = "create-memo"
    UPDATE_MEMO = "update-memo"
    DELETE_MEMO = "delete-memo"
    BULK_ASSIGN = "bulk-assign"
    CREATE_GROUPS = "create-groups"
    DELETE_GROUP = "delete-group"
    ASSIGN_LEADERS = "assign-leaders"
    UNASSIGN_LEADERS = "unassign-leaders"
    GROUP_MEMO = "group-memo"
    UNDO = "undo"
    FENCE = "fence"
    EXTERNAL = "external"
    """What other programs have changed; no action."""


class _Action(msgspec.Struct, frozen=True, tag_field="action", rename="camel"):
    """What the actions share: how they are written."""


class AssignNumber(_Action, frozen=True, tag=Kind.ASSIGN_NUMBER.value):
    """Put a person into a group, or with ``None`` into none."""

    registration_id: int
    gbs_number: int | None


class CreateMemo(_Action, frozen=True, tag=Kind.CREATE_MEMO.value):
    """Give a person the line-up memo they do not have yet."""

    registration_id: int
    text: str = msgspec.field(name="memo")
    color: str


class UpdateMemo(_Action, frozen=True, tag=Kind.UPDATE_MEMO.value):
    """Replace a memo's text and colour."""

    memo_id: int
    text: str = msgspec.field(name="memo")
    color: str


class DeleteMemo(_Action, frozen=True, tag=Kind.DELETE_MEMO.value):
    """Remove a memo."""

    memo_id: int


OnConflict = Literal["refuse", "skip"]
"""What becomes of a command of which a part cannot be carried out: nothing, or the rest of it."""


class Assignment(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The new values of one person's fields; a field that is not set stays as it is."""

    registration_id: int
    gbs_number: int | UnsetType | None = UNSET
    is_leader: bool | UnsetType = UNSET
    """Given: a leader's number can change, too."""
    current_leader: str | UnsetType = UNSET
    lineup_number: int | UnsetType | None = UNSET
    base_revision: int | None = None
    """The room revision the author was looking at; ``None``: that of the command."""


class BulkAssign(_Action, frozen=True, tag=Kind.BULK_ASSIGN.value):
    """Change fields of many people at once, as one change; their order has no meaning."""

    assignments: tuple[Assignment, ...]
    apply_lineup_number: bool = False
    """Otherwise the line-up numbers of the assignments do not count."""
    on_conflict: OnConflict = "refuse"


class CreateGroups(_Action, frozen=True, tag=Kind.CREATE_GROUPS.value):
    """Create groups; those that exist stay as they are."""

    gbs_numbers: tuple[int, ...]


class DeleteGroup(_Action, frozen=True, tag=Kind.DELETE_GROUP.value):
    """Delete a group and its memo; its members are in no group then, and lead none."""

    gbs_number: int
    if_empty: bool = False
    """Refuse if it has members."""


class AssignLeaders(_Action, frozen=True, tag=Kind.ASSIGN_LEADERS.value):
    """Put people into a group as leaders, in addition to those that lead it."""

    gbs_number: int
    user_ids: tuple[int, ...]


class UnassignLeaders(_Action, frozen=True, tag=Kind.UNASSIGN_LEADERS.value):
    """Make the leaders of a group ordinary members of it."""

    gbs_number: int


class SetGroupMemo(_Action, frozen=True, tag=Kind.GROUP_MEMO.value):
    """Write a group's memo, or with ``None`` delete it."""

    gbs_number: int
    memo: str | None


class Undo(_Action, frozen=True, tag=Kind.UNDO.value):
    """Put back the fields that an earlier command has changed, named by its id or revision.

    A field that was changed since, by whomever, is in conflict. To undo an undo is to redo.
    """

    command_id: UUID | None = None
    revision: int | None = None
    on_conflict: OnConflict = "refuse"
    by_operator: bool = False
    """Whether the author may undo what others did."""


SingleAction = AssignNumber | CreateMemo | UpdateMemo | DeleteMemo
"""What changes one field of one person."""
PlannedAction = (
    BulkAssign | CreateGroups | DeleteGroup | AssignLeaders | UnassignLeaders | SetGroupMemo | Undo
)
"""What may change many fields."""
Action = SingleAction | PlannedAction

PLANNED: Final[frozenset[type]] = frozenset(get_args(PlannedAction))
"""The types of the actions that may change many fields."""
_KINDS: Final = {action: Kind(str(action.__struct_config__.tag)) for action in get_args(Action)}
_encoder: Final = msgspec.json.Encoder(order="sorted")


def request_bytes(action: Action) -> bytes:
    """Return what distinguishes a repeat of an action from another request.

    Equal actions give equal bytes, different ones different bytes: their canonical JSON, or a
    digest of it where that may be long. What a command rests on (``baseRevision``) and its id
    are no part of it, apart from the base revisions of assignments. Logs store these bytes.

    :raises UnicodeEncodeError: a text with lone surrogates, which no command has that
        went through :func:`~gbs_actor.lineup.rules.clean_memo`.
    """
    if type(action) not in PLANNED:
        return _encoder.encode(action)
    if type(action) is Undo and action.by_operator:  # a right, and may be another at the repeat
        action = replace(action, by_operator=False)
    return b"sha256:" + hashlib.sha256(_encoder.encode(action)).digest()


def kind_of(action: Action) -> Kind:
    """Return the kind of the log entry that records an action."""
    return _KINDS[type(action)]


class Command(msgspec.Struct, frozen=True):
    """An action, who wants it, and what it rests on."""

    action: Action
    author: Author
    id: UUID
    """The client's ``commandId``, or one the server made."""
    client_made_id: bool = False
    """Whether the client gave the id, or a proxy for it: only then can the command be a repeat."""
    base_revision: int | None = None
    """The room revision the author was looking at; ``None``: the later wins."""
    epoch: str | None = None
    """The epoch of that revision; ``None``: the current one."""
    seen: frozenset[int] = frozenset()
    """Later revisions whose changes the author knows: they are no conflict."""
    outside_room: bool = False
    """Whether the author was not in the room: then without a base revision it does not
    overwrite what somebody else wrote last."""
