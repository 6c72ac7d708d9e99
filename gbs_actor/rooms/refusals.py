"""The answers a room gives instead of carrying something out."""

from __future__ import annotations

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code

NOT_IN_ROOM = Rejection(Code.NOT_IN_ROOM, "Join a retreat first")
NO_SUCH_RETREAT = Rejection(Code.RETREAT_NOT_FOUND, "There is no such retreat")
NO_SUCH_ROW = Rejection(Code.NOT_FOUND, "There is no such registration in this retreat")
OTHER_COMMAND = Rejection(
    Code.VALIDATION_FAILED, "commandId: it was used for another command already"
)
TOO_MUCH_MISSED = Rejection(
    Code.VALIDATION_FAILED, "since: the rows from there on do not tell all that was missed"
)
BUSY = Rejection(Code.ROOM_BUSY, "The room has too much to do; try again")
RESTARTED = Rejection(Code.ROOM_RESTARTED, "The room is being restarted; try again")
UNAVAILABLE = Rejection(
    Code.ROOM_UNAVAILABLE, "The room has failed too often and is closed for now; try again later"
)
SHUTTING_DOWN = Rejection(Code.ROOM_UNAVAILABLE, "The server is shutting down; try again")
STORE_DOWN = Rejection(Code.STORE_UNAVAILABLE, "The database cannot be reached; try again")
UNKNOWN_OUTCOME = Rejection(
    Code.OUTCOME_UNKNOWN,
    "It is not known whether the change was saved; try again with the same commandId",
)
INTERNAL = Rejection(Code.INTERNAL, "The command could not be carried out")
