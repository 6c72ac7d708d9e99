"""The limits and times of rooms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """How rooms behave; all times in seconds."""

    mailbox_size: int = 1_024
    """Commands that may wait in one room, and as many marks; further ones get ROOM_BUSY."""
    batch_size: int = 256
    """Commands that share one commit at most."""
    idle_timeout: float = 60.0
    """How long a room without subscribers stays loaded."""
    commit_timeout: float = 5.0
    """How long one commit may take before its outcome counts as unknown."""
    commit_resolve_timeout: float = 10.0
    """How long commands wait for an unknown outcome to be settled: then OUTCOME_UNKNOWN."""
    commit_retries: int = 2
    """How often a batch that provably did not take effect is committed anew."""
    store_backoff: float = 0.1
    """Pause before an unreachable store is tried again; doubles up to ``store_backoff_max``."""
    store_backoff_max: float = 2.0
    crash_backoff: float = 0.1
    """Pause before a crashed room starts again; doubles with each further crash."""
    crash_backoff_max: float = 5.0
    max_crashes: int = 5
    """More crashes than this within ``crash_window`` make a room FAILED."""
    crash_window: float = 60.0
    cool_down: float = 60.0
    """How long a FAILED room refuses everything before it starts again."""
    editing_timeout: float = 10.0
    """How long an editing mark lasts without renewal."""
    editing_interval: float = 0.1
    """Least time between two messages about the editing marks of a room."""
    editing_interval_large: float = 0.5
    """The same for rooms with more than ``large_room`` subscribers."""
    editing_news: int = 64
    """Connections of whose marks one such message tells at most; the next one goes on."""
    editing_news_per_user: int = 8
    """Connections of one user among them, so that nobody fills it alone."""
    presence_interval: float = 0.5
    """Least time between two presence messages of a room."""
    presence_interval_large: float = 2.0
    """The same for rooms with more than ``large_room`` subscribers."""
    large_room: int = 50
    memo_id_block: int = 64
    """Memo ids reserved from the store at a time."""
    remembered_commands: int = 4_096
    """Accepted command ids a room keeps in memory; older ones are looked up in the log."""
    deliveries_per_yield: int = 256
    """Deliveries, and rows put together for one, after which a fan-out lets others run."""
