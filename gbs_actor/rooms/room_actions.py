"""What operators do to rooms: restart, recover, stop and drain them.

Each can be repeated: what is under way, or done, is not begun again. None takes an acknowledged
change away, and every command gets its one reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import trio

from gbs_actor.rooms.handle import CRASHED, RoomHandle
from gbs_actor.rooms.mailbox import Leave
from gbs_actor.rooms.room_statistics import state_of, summary_of
from gbs_actor.rooms.statistics import RoomState, RoomSummary

SETTLE_TIMEOUT: Final = 5.0
"""Seconds that an action waits for the state that it leads to."""


class RoomAction(msgspec.Struct, frozen=True, rename="camel"):
    """What an action did, or would do."""

    changed: bool
    """Whether it began something; of a trial, whether it would."""
    message: str
    room: RoomSummary | None
    """The room after it; ``None``: no room of the retreat is open."""


class RoomActions:
    """Acts on the open rooms, one call an action.

    With ``dry_run`` an action only returns what it would do. Cancelled, an action that has begun
    goes on; only the wait for its outcome ends.

    :param rooms: by slug; the supervisor's own.
    """

    def __init__(self, rooms: Mapping[str, RoomHandle]) -> None:
        self._rooms = rooms

    async def restart(self, slug: str, *, dry_run: bool = False) -> RoomAction:
        """Load a room anew, after the batch in hand.

        What is queued stays queued, subscribers stay and are sent what they lack. A room that
        has crashed is recovered.
        """
        room = self._rooms.get(slug)
        if room is None:
            return _NOT_OPEN
        if room.draining:
            return _unchanged(room, "The room is stopping; it starts anew at the next join.")
        if room.restart_requested or room.state in (RoomState.STARTING, RoomState.RESTARTING):
            return _unchanged(room, "The room is starting already.")
        if not dry_run:
            room.restart()
            await _settle(room)
        return _changed(room, "The room is loaded anew, after the batch in hand.")

    async def recover(self, slug: str, *, dry_run: bool = False) -> RoomAction:
        """Start a FAILED room, or one in BACKOFF, at once, and count its crashes anew."""
        room = self._rooms.get(slug)
        if room is None:
            return _NOT_OPEN
        if room.draining or room.restart_requested or room.state not in CRASHED:
            return _unchanged(room, f"The room has not crashed; it is {state_of(room)}.")
        if not dry_run:
            room.restart()
            await _settle(room)
        return _changed(room, "The room starts at once, and its crashes are counted anew.")

    async def stop(self, slug: str, *, dry_run: bool = False) -> RoomAction:
        """Stop a room: finish what was submitted, then send all its subscribers away at once.

        Commands get ROOM_RESTARTED meanwhile. Connections are closed so that clients come back;
        who joins waits for the end, and opens the room again. One that drains has no more time.
        """
        room = self._rooms.get(slug)
        if room is None:
            return _NOT_OPEN
        if room.draining and not room.spread:
            return _unchanged(room, "The room is stopping already.")
        if not dry_run:
            room.stop(0.0)
            await _settle(room)
        return _changed(room, "The room stops; it opens again at the next join.")

    async def drain(self, slug: str, spread: float, *, dry_run: bool = False) -> RoomAction:
        """Stop a room as :meth:`stop` does, but send its subscribers away over some time.

        Returns at once.

        :param spread: seconds, above 0.
        """
        await trio.lowlevel.checkpoint()
        room = self._rooms.get(slug)
        if room is None:
            return _NOT_OPEN
        if room.draining:
            return _unchanged(room, "The room is stopping already.")
        if not dry_run:
            room.stop(spread)
        return _changed(
            room, f"The room sends its clients away over {spread:g} s, and opens again for them."
        )


async def send_away(room: RoomHandle) -> None:
    """Close the connections of the subscribers of a room whose task has ended, one by one.

    A server that stops closes the rest itself. Cancellation leaves the rest where it is.
    """
    total = len(room.subscribers)
    for subscriber in tuple(room.subscribers):
        if room.spread is None:
            return
        if subscriber.room is not room:
            continue
        room.remove(Leave(subscriber))
        subscriber.send_away()
        if room.subscribers:
            with trio.move_on_after(room.spread / total):
                await room.pause_over.park()


async def _settle(room: RoomHandle) -> None:
    """Wait until what was begun has ended, at most :data:`SETTLE_TIMEOUT`."""
    with trio.move_on_after(SETTLE_TIMEOUT):
        while (
            room.restart_requested
            or room.state in (RoomState.STARTING, RoomState.RESTARTING)
            or (room.draining and not room.closed.is_set())
        ):
            await room.state_changed.park()


_NOT_OPEN: Final = RoomAction(False, "No room of this retreat is open.", None)


def _changed(room: RoomHandle, message: str) -> RoomAction:
    return RoomAction(True, message, summary_of(room))


def _unchanged(room: RoomHandle, message: str) -> RoomAction:
    return RoomAction(False, message, summary_of(room))
