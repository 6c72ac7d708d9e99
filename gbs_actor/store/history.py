"""What can be asked of the log of a retreat, and of its groups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which entries of the log are wanted; ``None``: whatever."""

    limit: int
    before: int | None = None
    """Only those with a lower revision."""
    after: int | None = None
    """Only those with a higher revision."""
    registration_id: int | None = None
    """Only those that address this registration, or have changed fields of it."""
    gbs_number: int | None = None
    """Only those that have changed this group, or moved people in or out."""
    user_id: int | None = None
    """Only those of this author."""


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """What the store knows of a group beside what is on the board."""

    id: int
    """Kept if the group is deleted and created again."""
    created_at: datetime
    """Aware; when it was first created."""
