"""The events that go over a client's connection, by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

NAMESPACE: Final = "/gbs-lineup"
"""The Socket.IO namespace."""


class CommandEvent(StrEnum):
    """Events of a client that are commands; ``contract.commands`` says what each takes."""

    UPDATE_GBS_NUMBER = "update-gbs-number"
    CREATE_LINEUP_MEMO = "create-lineup-memo"
    UPDATE_LINEUP_MEMO = "update-lineup-memo"
    DELETE_LINEUP_MEMO = "delete-lineup-memo"
    BULK_ASSIGN_GBS = "bulk-assign-gbs"
    CREATE_GBS = "create-gbs"
    DELETE_GBS = "delete-gbs"
    ASSIGN_GBS_LEADERS = "assign-gbs-leaders"
    UNASSIGN_GBS_LEADERS = "unassign-gbs-leaders"
    UPDATE_LINEUP_GBS_MEMO = "update-lineup-gbs-memo"
    DELETE_LINEUP_GBS_MEMO = "delete-lineup-gbs-memo"
    UNDO = "undo"


class ClientEvent(StrEnum):
    """Events of a client that are no commands."""

    JOIN_RETREAT = "join-retreat"
    LEAVE_RETREAT = "leave-retreat"
    USER_EDITING = "user-editing"
    AUTHENTICATE = "authenticate"
    GBS_LIST = "gbslist"


class ServerEvent(StrEnum):
    """Events of the server."""

    INITIAL_DATA = "initial-data"
    LINEUP_UPDATED = "lineup-updated"
    LINEUPS_UPDATED = "lineups-updated"
    USER_EDITING = "user-editing"
    ROOM_PRESENCE = "room-presence"
    ERROR = "error"
