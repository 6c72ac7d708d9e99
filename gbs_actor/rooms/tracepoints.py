"""The steps of a room's loop, for those who watch it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Tracepoint(StrEnum):
    """A step of a room's loop."""

    LOADING = "loading"
    LOADED = "loaded"
    CAUGHT_UP = "caught up"
    JOINING = "joining"
    LEAVING = "leaving"
    SENDING_MARKS = "telling of marks"
    TAKEN = "taken"
    DECIDED = "decided"
    COMMITTING = "committing"
    STORE_REPLIED = "answered by the store"
    RESOLVING = "settling"
    COMMITTED = "committed"
    APPLIED = "applied"
    DELIVERING = "delivering"
    REPLYING = "replying"
    FANNED_OUT = "handed out"


Observer = Callable[[str, Tracepoint], None]
"""Called with the slug at every step of a room's loop. What it raises crashes that room,
as a bug would: so supervision can be put to the proof."""

Observe = Callable[[Tracepoint], None]
"""The same for one room."""


def ignore(slug: str, moment: Tracepoint) -> None:
    """Observe nothing."""
