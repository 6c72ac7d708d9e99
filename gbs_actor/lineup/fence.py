"""The change that changes nothing, so that a late commit finds its revision taken."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import Kind

FENCE_REQUEST: Final = b'{"action":"fence"}'
"""What the log has for a fence, which nobody asked for."""


def fence(revision: int, command_id: UUID, at: datetime) -> Change:
    """Return a fence that takes ``revision``."""
    return Change(
        revision=revision,
        command_id=command_id,
        author=None,
        kind=Kind.FENCE,
        at=at,
        request=FENCE_REQUEST,
    )
