"""Named steps of a room's loop, where an observer is called."""

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
    SENDING_MARKS = "sending marks"
    TAKEN = "taken"
    DECIDED = "decided"
    COMMITTING = "committing"
    STORE_REPLIED = "store replied"
    RESOLVING = "resolving"
    COMMITTED = "committed"
    APPLIED = "applied"
    DELIVERING = "delivering"
    REPLYING = "replying"
    FANNED_OUT = "fanned out"


Observer = Callable[[str, Tracepoint], None]
"""Called with the slug at every tracepoint of a room. What it raises crashes that room,
as a bug there would: tests of supervision use it so."""


def ignore(slug: str, tracepoint: Tracepoint) -> None:
    """Observe nothing."""
