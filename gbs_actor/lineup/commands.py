"""What staff can ask of a line-up: typed, already well-formed commands."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Author:
    """Who gives a command."""

    user_id: int
    name: str
    admin_user_id: int


@dataclass(frozen=True, slots=True)
class AssignNumber:
    """Put a person into a group, or with ``None`` into none."""

    registration_id: int
    gbs_number: int | None


@dataclass(frozen=True, slots=True)
class CreateMemo:
    """Give a person the line-up memo they do not have yet."""

    registration_id: int
    text: str
    color: str


@dataclass(frozen=True, slots=True)
class UpdateMemo:
    """Replace a memo's text and colour."""

    memo_id: int
    text: str
    color: str


@dataclass(frozen=True, slots=True)
class DeleteMemo:
    """Remove a memo."""

    memo_id: int


Action = AssignNumber | CreateMemo | UpdateMemo | DeleteMemo


@dataclass(frozen=True, slots=True)
class Command:
    """An action, who wants it, and what it rests on."""

    action: Action
    author: Author
    id: UUID
    """The client's ``commandId``, or one the server made."""
    client_made_id: bool = False
    """Whether the client gave the id: only then can the command be a repeat."""
    base_revision: int | None = None
    """The room revision the author was looking at; ``None``: the later wins."""
