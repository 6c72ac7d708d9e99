"""The events that go over a client's connection, by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

NAMESPACE: Final = "/gbs-lineup"
"""The Socket.IO namespace."""


class ClientEvent(StrEnum):
    """Events of a client that are no commands; for those see ``contract.commands``."""

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
