"""What clients have asked for, and which answers they got."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4


@dataclass
class Edit:
    """An edit of one field, from the first attempt to its final answer."""

    person: int
    """A registration's id."""
    field: Literal["gbsNumber", "lineupMemo"]
    value: int | str | None
    """What is to be written: a group's number, or a memo's text; ``None``: no memo."""
    memo_id: int | None = None
    """Of the memo that is changed or deleted; ``None``: one is created."""
    command_id: UUID = dataclasses.field(default_factory=uuid4)
    attempts: int = 0
    took: float | None = None
    """Seconds until its acknowledgement, where that was measured."""
    revision: int | None = None
    """Under which it was acknowledged."""
    refused: str | None = None
    """Why it was refused for good."""


@dataclass
class Ledger:
    """The edits of one client, and what it has seen that must not be."""

    client: str
    """Which kind it is of, and its number."""
    edits: list[Edit] = dataclasses.field(default_factory=list)
    violations: list[str] = dataclasses.field(default_factory=list)
    joins: int = 0
    """Times that it has come into the room."""


def acknowledged(ledgers: Iterable[Ledger]) -> int:
    """Return how many edits were acknowledged."""
    return sum(edit.revision is not None for ledger in ledgers for edit in ledger.edits)
