"""The steps of a room's loop, for those who watch it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Moment(StrEnum):
    """A step of a room's loop."""

    LOADING = "loading"
    LOADED = "loaded"
    CAUGHT_UP = "caught up"
    JOINING = "joining"
    LEAVING = "leaving"
    TELLING = "telling of marks"
    TAKEN = "taken"
    DECIDED = "decided"
    COMMITTING = "committing"
    ANSWERED = "answered by the store"
    SETTLING = "settling"
    COMMITTED = "committed"
    APPLIED = "applied"
    DELIVERING = "delivering"
    REPLYING = "replying"
    HANDED_OUT = "handed out"


Observer = Callable[[str, Moment], None]
"""Called with the slug at every step of a room's loop. What it raises crashes that room,
as a bug would: so supervision can be put to the proof."""

Observe = Callable[[Moment], None]
"""The same for one room."""


def ignore(slug: str, moment: Moment) -> None:
    """Observe nothing."""
