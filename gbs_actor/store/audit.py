"""The audit: what operators did, and which personal data they looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

Outcome = Literal["done", "unchanged", "dry_run", "refused"]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One action of an operator, one look at personal data, or one refused request."""

    at: datetime
    operator_id: int | None
    """``None``: whoever has the operator token, or nobody known."""
    operator_name: str
    """Empty: nobody known."""
    action: str
    """Such as ``room.restart``; ``look.room``: looked at; ``access``: refused."""
    target: str
    """The room's slug, the session's or user's id; of what was refused, method and path."""
    reason: str
    """As the operator gave it."""
    address: str | None
    """The IP address of the client, past trusted proxies."""
    outcome: Outcome
    details: str
    """What the response said; empty for a look."""


class AuditRecord(AuditEntry, frozen=True, kw_only=True):
    """An entry as it is stored."""

    id: int
    """Ascending in the order of storing."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which records are wanted; ``None``: whatever."""

    limit: int
    before: int | None = None
    """Only those with a lower id."""
    operator: str | None = None
    """The operator's id or name."""
    action: str | None = None
    """The beginning of the action: ``room.`` stands for all on rooms."""
    target: str | None = None
