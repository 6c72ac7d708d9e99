"""Bugs in who is in a room, who is waited for, and how rooms start and end."""

from __future__ import annotations

from typing import Final

from gbs_actor.rooms import broadcast
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Mailbox, MarkUpdate
from gbs_actor.rooms.presence import EditingMarks
from gbs_actor.rooms.room import Room
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.rooms.subscriptions import Subscriptions
from gbs_actor.rooms.supervisor import RoomSupervisor
from tests.testing.simulation.planted.bug import bug

SERVING: Final = (
    bug(
        "a mark does not wake the room",
        "marks",
        (
            Mailbox._append,
            "self.wake()",
            "if not isinstance(item, MarkUpdate):\n        self.wake()",
        ),
    ),
    bug(
        "a join that takes no task switch does not wake the room",
        "wake-ups",
        (RoomHandle.join_nowait, "self.mailbox.wake()", "pass"),
    ),
    bug(
        "an interruption of the store does not wake the room",
        "foreign",
        (RoomHandle.compare_with_store, "self.mailbox.wake()", "pass"),
    ),
    bug(
        "who waits for its last reply is not woken",
        "wake-ups",
        (Subscriber.count_reply, "if self.in_flight == 0:", "if self.in_flight < 0:"),
    ),
    bug(
        "who waits until it has left is not woken",
        "wake-ups",
        (Subscriber.enter, "self._wake()", "pass"),
    ),
    bug(
        "a mark that is rejected is not counted as replied to",
        "marks",
        (
            MarkUpdate.reply,
            "if not self.replied:",
            "if not self.replied and type(outcome) is not Rejection:",
        ),
    ),
    bug(
        "who leaves stays in the list of who is there",
        "calm",
        (RoomHandle.remove, "self.note_people()", "pass"),
    ),
    bug(
        "who joins another room stays in the former one",
        "wake-ups",
        (Subscriptions._take_in, "former.leave(subscriber)", "pass"),
    ),
    bug(
        "a mark ends only when the room has something to do",
        "marks",
        (Subscriptions.next_due, "handle.marks.next_expiry(),", ""),
    ),
    bug(
        "a mark that moves to another field stays on the first one, too",
        "marks",
        (
            EditingMarks.begin,
            "self._unsent.setdefault(editor, former)",
            "self._unsent[editor] = None",
        ),
    ),
    bug(
        "a mark of who has left lasts until it expires",
        "marks",
        (Subscriptions._process, "self._handle.marks.end(item.subscriber)", "pass"),
    ),
    bug(
        "a client is sent its own mark",
        "marks",
        (
            broadcast.broadcast_marks,
            "if subscriber in authors:",
            "if len(authors) > 1 and subscriber in authors:",
        ),
    ),
    bug(
        "a mark is answered in the revision that presence was sent in",
        "calm",
        (
            Subscriptions.update_mark,
            "handle.presence.change()\n    update.reply(Done(board.revision))",
            "handle.presence.change()\n    update.reply(Done(handle.presence._revision))",
        ),
    ),
    bug(
        "what comes while an idle room ends is dropped",
        "idle",
        (
            Room._serve,
            "            return\n",
            "            await trio.lowlevel.checkpoint()\n            return\n",
        ),
    ),
    bug(
        "a room that is stopped drops what is queued",
        "stops",
        (
            Room._serve,
            "if len(handle.mailbox) or",
            "if (len(handle.mailbox) and not handle.draining) or",
        ),
        (
            RoomSupervisor._reject_rest,
            "handle.reject_queued(rejection, joins=rejection)",
            "handle.mailbox.take_all()",
        ),
    ),
    bug(
        "a leave is answered and not carried out while the store is down",
        "fence",
        (
            Subscriptions._process_queued,
            "self._process(item)",
            "item.reply(Done(None)) if isinstance(item, Leave) else self._process(item)",
        ),
    ),
)
