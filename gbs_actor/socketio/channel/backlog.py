"""What a client has sent and not been answered: handled in order, and bounded."""

from __future__ import annotations

from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.dispatcher import Dispatcher, Job
from gbs_actor.socketio.channel.options import ServerOptions


class Backlog:
    """The events of one channel that wait for their turn, or for their answer.

    :param channel: read on when there is less of them.
    """

    __slots__ = ("_channel", "_dispatcher", "_held_bytes", "_options", "_unanswered")

    def __init__(self, channel: Channel, options: ServerOptions) -> None:
        self._channel = channel
        self._options = options
        self._dispatcher = Dispatcher(channel.nursery, channel.resume_reading)
        self._unanswered = 0
        self._held_bytes = 0

    def submit(self, job: Job) -> None:
        """Run a job now if it can be, else behind those that wait. After the end, do nothing."""
        self._dispatcher.submit(job)

    def expect_answer(self) -> None:
        """Note an event that has to be answered."""
        self._unanswered += 1

    def release(self) -> None:
        """Note that one event less is unanswered."""
        self._unanswered -= 1
        self._channel.resume_reading()

    def hold(self, size: int) -> None:
        """Note an event of so many bytes."""
        self._held_bytes += size

    def forget(self, size: int) -> None:
        """Note that an event of so many bytes is held no longer."""
        self._held_bytes -= size
        self._channel.resume_reading()

    @property
    def lagging(self) -> bool:
        """Whether there is so much that nothing more should be read."""
        return (
            self._unanswered > self._options.max_unanswered_events
            or len(self._dispatcher) >= self._options.max_waiting_events
            or self._held_bytes > self._options.max_held_bytes
        )

    async def stop(self) -> None:
        """Cancel what runs, drop what waits, and return once the former has unwound.

        Shielded from cancellation; returns after ``disconnect_timeout`` at the latest.
        """
        await self._dispatcher.stop(self._options.disconnect_timeout)
