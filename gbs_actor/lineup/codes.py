"""The codes an error can carry, and which of them are worth a retry."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What went wrong, in the words clients know."""

    VALIDATION_FAILED = "VALIDATION_FAILED"
    NOT_IN_ROOM = "NOT_IN_ROOM"
    RETREAT_NOT_FOUND = "RETREAT_NOT_FOUND"
    NOT_FOUND = "NOT_FOUND"
    LEADER_LOCKED = "LEADER_LOCKED"
    CONFLICT = "CONFLICT"
    GROUP_NOT_EMPTY = "GROUP_NOT_EMPTY"
    HISTORY_PRUNED = "HISTORY_PRUNED"
    IMPORT_BLOCKED = "IMPORT_BLOCKED"
    NOT_ACKNOWLEDGED = "NOT_ACKNOWLEDGED"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    ROOM_BUSY = "ROOM_BUSY"
    ROOM_RESTARTED = "ROOM_RESTARTED"
    ROOM_UNAVAILABLE = "ROOM_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105  (a code, no secret)
    INTERNAL = "INTERNAL"


RETRYABLE = frozenset(
    {
        Code.ROOM_BUSY,
        Code.ROOM_RESTARTED,
        Code.ROOM_UNAVAILABLE,
        Code.STORE_UNAVAILABLE,
        Code.RATE_LIMITED,
        Code.OUTCOME_UNKNOWN,
    }
)
"""Codes after which the same command, with the same commandId, may be sent again."""
