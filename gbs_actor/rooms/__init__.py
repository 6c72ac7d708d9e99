"""Rooms: a supervised actor for each retreat, which owns its subscribers and its changes.

The moving parts, from a connection inward:

- :class:`RoomSupervisor` starts and stops rooms, and is where connections reach them. Each
  room is one task in its nursery: a ``RestartLoop``, which starts it again after a crash.
- :class:`Subscriber` is a client's place in a room, and passes messages to its :class:`Sink`.
- ``RoomHandle`` outlives the room's task: mailbox, subscribers, marks, the batch in hand.
- ``Room`` is one incarnation of that task: its loop. ``BatchRunner`` does what is below, with
  ``Loading``, ``Decisions``, ``Commits``, ``FanOut`` and ``Subscriptions``, one file each.

The life of a batch::

      submit()      join() leave()
         |              |
    +----v--------------v----+
    |  mailbox, in order     |    full: ROOM_BUSY
    +-----------+------------+
                | all commands at the front, at most 256; one of many rows alone
    +-----------v------------+
    |  decide                |    Decisions: on a draft of the board, one after the
    |   Phase.DECIDING       |    other; Change, Rejection or Repeat for each
    +-----------+------------+
                |                 Delta: another writer was faster; take it over, decide
    +-----------v------------+      again, the third time with the retreat locked
    |  commit                |    RowsLocked: reject what is on held rows, again with the rest
    |                        |    StoreUnavailable: STORE_UNAVAILABLE, wait for the store
    |   Phase.COMMITTING     |    OutcomeUnknown: commit a fence, then look into the log
    +-----------+------------+
                | durable. From here on it is shielded from cancellation.
    +-----------v------------+
    |  apply                 |    FanOut: to the board, then to each subscriber its rows,
    |   Phase.COMMITTED      |    each reply right behind the rows of its own revision;
    |  fan-out and replies   |    encoded once per format, other tasks run in between
    +------------------------+

What subscribers are sent is a ``PieceSequence``: of rows (``RowSequence``), or in the batch form of
the rows whose own fields have changed and of groups (``PartSequence``).

Joins, leaves, editing marks and presence (``Subscriptions``) need no store: they go on
while one is waited for.

What operators see of it is declared in ``statistics``, and read by ``room_statistics`` (one room)
and ``listing`` (which rooms, in which order). What they do to it is in ``room_actions``;
``slow_commands`` logs what took long.

When a room crashes, its ``RestartLoop`` counts it and replies by the phase of the batch in hand:
DECIDING gets ROOM_RESTARTED; COMMITTED gets its rows and its OK from the batch itself;
COMMITTING waits for the next start, which resolves the outcome. What is queued gets
ROOM_RESTARTED, joins wait. After a back-off the room loads again and sends each subscriber
what it missed: nobody has to rejoin. More than ``max_crashes`` within ``crash_window`` make
the room FAILED: all get ROOM_UNAVAILABLE until an operator restarts it or ``crash_cool_down``
has passed.

After an outage, and whenever another server may have had the retreats, a room takes over what
the store has beyond its revision, and loads again if that cannot be had as a delta.

Where servers share the store, nothing goes out that is older than what any of them has
acknowledged before it was asked for: rejections, repeats, joins and reads wait until the board is
confirmed by ``Freshness``, one query for all rooms that ask. ``AntiEntropy`` does the same now and
then for rooms that nobody asks. In an outage joins and reads get the board as it is, unless they
know of more.

What comes over the bus ``NodeLink`` hands to rooms: hints, and of presence what their ``Elsewhere``
keeps. ``Announcements`` is what the other servers are sent, ``OtherNodes`` what they are asked for.
"""

from gbs_actor.rooms.command_times import CommandTimes
from gbs_actor.rooms.delivery import (
    Accepted,
    CommandReply,
    Done,
    DoneReply,
    EditedField,
    Editing,
    Format,
    JoinReply,
    Presence,
    PresentUser,
    Sink,
    SinkStatistics,
    Snapshot,
)
from gbs_actor.rooms.encoded import EncodedRow, PartsUpdate
from gbs_actor.rooms.groups import GroupList, ListedGroup
from gbs_actor.rooms.overview import RoomCounts, RoomLoad, RoomLoads, RoomTotals
from gbs_actor.rooms.room_actions import RoomAction, RoomActions
from gbs_actor.rooms.statistics import (
    RoomPage,
    RoomState,
    RoomStatistics,
    RoomSummary,
    SupervisorStatistics,
)
from gbs_actor.rooms.subscriber import Subscriber, SubscriberStatistics
from gbs_actor.rooms.supervisor import RoomSupervisor
from gbs_actor.rooms.tracepoints import Observer, Tracepoint
from gbs_actor.settings import RoomSettings

__all__ = [
    "Accepted",
    "CommandReply",
    "CommandTimes",
    "Done",
    "DoneReply",
    "EditedField",
    "Editing",
    "EncodedRow",
    "Format",
    "GroupList",
    "JoinReply",
    "ListedGroup",
    "Observer",
    "PartsUpdate",
    "Presence",
    "PresentUser",
    "RoomAction",
    "RoomActions",
    "RoomCounts",
    "RoomLoad",
    "RoomLoads",
    "RoomPage",
    "RoomSettings",
    "RoomState",
    "RoomStatistics",
    "RoomSummary",
    "RoomSupervisor",
    "RoomTotals",
    "Sink",
    "SinkStatistics",
    "Snapshot",
    "Subscriber",
    "SubscriberStatistics",
    "SupervisorStatistics",
    "Tracepoint",
]
