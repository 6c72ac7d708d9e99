"""Runs a room, and starts it again after each crash."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from gbs_actor.rooms.batch import Phase
from gbs_actor.rooms.delivery import RESTARTED, UNAVAILABLE, UNKNOWN_OUTCOME
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.room import Room
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.store.protocol import Store

log = logging.getLogger(__name__)


class RestartLoop:
    """Runs one room after another under the same handle until it may stop.

    :param store: where the retreat is durable.
    :param on_crash: called at each crash.
    """

    def __init__(self, handle: RoomHandle, store: Store, on_crash: Callable[[], None]) -> None:
        self._handle = handle
        self._store = store
        self._on_crash = on_crash

    async def run(self) -> bool:
        """Run until the room is idle or drained, or has crashed and nobody waits for it.

        A room that an operator restarts is loaded anew, with all that is queued for it.

        Cancelled, it ends the room between two commits. The caller closes the handle.

        :returns: ``False`` after such a crash.
        """
        handle = self._handle
        while True:
            pause = await self._run_once()
            if pause is not None:
                await self._pause(pause)
                if handle.draining or not (
                    handle.wanted or handle.restart_requested or handle.state is RoomState.BACKOFF
                ):
                    return False
                handle.restarts_at = None
                handle.restarts += 1
                after = RoomState.RESTARTING
            elif handle.restart_requested:
                after = RoomState.STARTING  # in which commands are queued
            else:
                return True
            handle.restart_requested = False
            handle.enter(after)

    async def _run_once(self) -> float | None:
        """Run a room until it stops or crashes.

        A crash that coincides with cancellation is handled before that goes on.

        :returns: after a crash, the seconds after which it starts again.
        """
        room = Room(self._handle, self._store)
        pause = None
        try:
            await room.run()
        except* Exception as errors:  # noqa: BLE001  (whatever it is, it is a crash)
            with trio.CancelScope(shield=True):
                pause = await self._handle_crash(room, errors)
        return pause

    async def _handle_crash(self, room: Room, error: BaseExceptionGroup[Exception]) -> float:
        """Reply what the crash decides, and set how the room goes on.

        :returns: the seconds after which it starts again.
        """
        handle = self._handle
        self._on_crash()
        handle.resolving = False
        phase = None if handle.batch is None else handle.batch.phase
        at = handle.environment.now()
        failed = handle.crashes.add(error, phase, trio.current_time(), at)
        pause = handle.config.crash_cool_down if failed else handle.crashes.next_delay()
        self._publish_crash(pause, failed=failed)
        if handle.batch is not None:
            handle.replying_after_crash = True
            await self._reply_after_crash(room, failed=failed)
            handle.replying_after_crash = False
        handle.restart_requested = False  # from here on a request ends the pause
        handle.enter(RoomState.FAILED if failed else RoomState.BACKOFF)
        handle.reject_queued(RESTARTED, joins=UNAVAILABLE if failed else None)
        return pause

    def _publish_crash(self, pause: float, *, failed: bool) -> None:
        handle = self._handle
        crash = handle.crashes.latest[0]
        handle.publish(
            "room.crashed",
            f"room {handle.slug} crashed: {crash.error}",
            severity="error",
            traceback=crash.traceback,
            phase=crash.phase,
            restarts_in=pause,
        )
        if failed:
            config = handle.config
            handle.publish(
                "room.failed",
                f"room {handle.slug} is FAILED: {len(handle.crashes)} crashes in "
                f"{config.crash_window:g} s; restart it, or it starts again in {pause:g} s",
                severity="error",
            )

    async def _reply_after_crash(self, room: Room, *, failed: bool) -> None:
        """Reply to the batch in hand as its phase allows.

        One of unknown outcome is left for the next start to resolve, if that is soon.
        """
        handle = self._handle
        batch = handle.batch
        assert batch is not None
        if batch.phase is Phase.COMMITTING:
            if failed:
                batch.reject_pending(UNKNOWN_OUTCOME)
            return
        if batch.phase is Phase.COMMITTED:
            try:
                await room.send_committed(batch)
            except Exception:
                log.exception(
                    "room %s: replies to a durable batch failed",
                    handle.slug,
                    extra={"room": handle.slug},
                )
        batch.reject_interrupted()
        handle.batch = None

    async def _pause(self, seconds: float) -> None:
        """Wait for the end of the back-off or the cool-down, an operator, or the drain."""
        handle = self._handle
        if handle.draining:
            return
        handle.restarts_at = trio.current_time() + seconds
        with trio.move_on_at(handle.restarts_at):
            await handle.pause_over.park()
