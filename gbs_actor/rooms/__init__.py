"""Rooms: a supervised actor for each retreat, which owns its subscribers and its changes."""

from gbs_actor.rooms.delivery import (
    Accepted,
    CommandReply,
    Done,
    DoneReply,
    EditedField,
    Editing,
    EncodedRow,
    Format,
    JoinReply,
    Presence,
    PresentUser,
    Sink,
    SinkStatistics,
    Snapshot,
)
from gbs_actor.rooms.statistics import RoomState, RoomStatistics, RoomSummary, SupervisorStatistics
from gbs_actor.rooms.subscriber import Subscriber, SubscriberStatistics
from gbs_actor.rooms.supervisor import RoomSupervisor
from gbs_actor.rooms.tracepoints import Observer, Tracepoint
from gbs_actor.settings import RoomSettings

__all__ = [
    "Accepted",
    "CommandReply",
    "Done",
    "DoneReply",
    "EditedField",
    "Editing",
    "EncodedRow",
    "Format",
    "JoinReply",
    "Observer",
    "Presence",
    "PresentUser",
    "RoomSettings",
    "RoomState",
    "RoomStatistics",
    "RoomSummary",
    "RoomSupervisor",
    "Sink",
    "SinkStatistics",
    "Snapshot",
    "Subscriber",
    "SubscriberStatistics",
    "SupervisorStatistics",
    "Tracepoint",
]
