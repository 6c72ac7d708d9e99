"""A channel that is given up when its peer does not answer pings."""

from __future__ import annotations

from abc import abstractmethod

import trio

from gbs_actor.socketio.channel.channel import Channel, OnEnd, Transport
from gbs_actor.socketio.channel.close_code import CloseCode
from gbs_actor.socketio.channel.liveness import Vigil
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.timers import Timers


class LiveChannel(Channel):
    """A channel with a heartbeat, from :meth:`watch_over` on until its end.

    A subclass calls :meth:`note_pong` for each answer to its :attr:`ping_message`.

    :param options: how often to ping, how long to wait, how much may wait to be sent.
    """

    __slots__ = ("_options", "_sent_at_ping", "_vigil")

    def __init__(
        self, transport: Transport, nursery: trio.Nursery, options: ServerOptions, on_end: OnEnd
    ) -> None:
        super().__init__(transport, nursery, options.outbox, on_end)
        self._options = options
        self._sent_at_ping = 0
        self._vigil: Vigil | None = None

    @property
    @abstractmethod
    def ping_message(self) -> Message:
        """What asks the peer for an answer; of several that wait, one should go out."""

    def watch_over(self, timers: Timers) -> None:
        """Begin: the heartbeat's deadlines count from now."""
        self._vigil = Vigil(self, self._options, timers)

    def note_pong(self) -> None:
        """Take the peer's answer to a ping."""
        if self._vigil is not None:
            self._vigil.pong()

    def ended(self, reason: str) -> None:
        """See :class:`Channel`; a subclass extends it."""
        if self._vigil is not None:
            self._vigil.stop()

    # What the vigil asks for.

    @property
    def ever_joined(self) -> bool:
        """See :class:`~gbs_actor.socketio.channel.liveness.Watched`."""
        return True

    @property
    def excused(self) -> bool:
        """Whether a pong may be there that we have kept ourselves from reading."""
        if self._gate is None:
            return trio.current_time() < self._resumed_at + self._options.ping_timeout
        return self.lagging or self.outbox.sent_bytes != self._sent_at_ping

    def ping(self) -> None:
        """Send a ping."""
        self._sent_at_ping = self.outbox.sent_bytes
        self.outbox.send(self.ping_message)

    def never_joined(self) -> None:
        """Close: the client has not got to where it wanted in time."""
        self.end("transport close", CloseCode.POLICY_VIOLATION, "no namespace joined in time")

    def gone(self) -> None:
        """Close: no pong came in time."""
        self.end("ping timeout", CloseCode.POLICY_VIOLATION, "ping timeout", discard=True)
