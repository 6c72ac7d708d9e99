"""What staff can ask of a line-up: typed, already well-formed commands.

An action is declared here and nowhere else in the domain: its tag is the kind of its log
entry, its members in alphabetical order are the request that the log stores. What it does
stands in :mod:`gbs_actor.lineup.draft`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, get_args
from uuid import UUID

import msgspec


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
    FENCE = "fence"


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


Action = AssignNumber | CreateMemo | UpdateMemo | DeleteMemo

_KINDS: Final = {action: Kind(str(action.__struct_config__.tag)) for action in get_args(Action)}
_encoder: Final = msgspec.json.Encoder(order="sorted")


def request_bytes(action: Action) -> bytes:
    """Return the canonical JSON of an action, to distinguish a repeat from another request.

    Equal actions give equal bytes, different ones different bytes. What a command rests
    on (``baseRevision``) and its id are no part of it. Logs store these bytes.

    :raises UnicodeEncodeError: a text with lone surrogates, which no command has that
        went through :func:`~gbs_actor.lineup.rules.clean_memo`.
    """
    return _encoder.encode(action)


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
    """Whether the client gave the id: only then can the command be a repeat."""
    base_revision: int | None = None
    """The room revision the author was looking at; ``None``: the later wins."""
    epoch: str | None = None
    """The epoch of that revision; ``None``: the current one."""
    outside_room: bool = False
    """Whether the author was not in the room: then without a base revision it does not
    overwrite what somebody else wrote last."""
