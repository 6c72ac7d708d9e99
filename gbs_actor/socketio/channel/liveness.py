"""Liveness: when a peer is pinged, and when its channel ends because no pong came.

    Heartbeat     deadlines, without a clock
    Liveness      a heartbeat on a timer, and the time by which a client has to join
    LiveChannel   a channel that is ended by its liveness

Engine.IO v4: the server pings every ``ping_interval``; a client times out if its pong has not
come ``ping_timeout`` after the ping was due. Both count from the handshake: a ping that is
delivered late does not move its deadline.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

import trio

from gbs_actor.socketio.channel.channel import Channel, OnEnd, Transport
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.tasks import ChannelTasks
from gbs_actor.socketio.channel.timers import Tick, Timers, TimerWheel
from gbs_actor.socketio.websocket.close_code import CloseCode

LAG: Final = 5.0
"""Seconds for which something has been queued for a peer that counts as lagging."""

_TICKS: Final = 100


class Beat(Enum):
    """What is due."""

    NOTHING = "nothing"
    PING = "ping"
    TIMEOUT = "timeout"


class Heartbeat:
    """The heartbeat of one connection.

    :param now: the time of the handshake, in seconds.
    """

    __slots__ = ("_due", "_interval", "_outstanding", "_timeout")

    def __init__(self, now: float, interval: float, timeout: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._due = now + interval
        self._outstanding = False

    def next_check(self, now: float) -> float:
        """Return when to call :meth:`beat` next, whether or not a pong comes first.

        The next ping is never due earlier, so a pong does not have to move a timer.
        """
        if not self._outstanding:
            return self._due
        deadline = self._due + self._timeout
        following = self._due + self._interval
        return min(following, deadline) if now < following else deadline

    def beat(self, now: float, *, early: float = 0.0) -> Beat:
        """Return what is due at ``now``; a ping then counts as sent.

        :param early: seconds that a ping may be sent before it is due.
        """
        if not self._outstanding:
            if now < self._due - early:
                return Beat.NOTHING
            self._outstanding = True
            return Beat.PING
        return Beat.NOTHING if now < self._due + self._timeout else Beat.TIMEOUT

    def pong(self, now: float) -> None:
        """Receive a pong; ignored if no ping is outstanding."""
        if self._outstanding:
            self._outstanding = False
            self._due = max(self._due + self._interval, now)

    def hasten(self, now: float) -> bool:
        """Let the next ping be due now; return whether it is: not while one is outstanding."""
        if self._outstanding:
            return False
        self._due = min(self._due, now)
        return True

    def restart(self, now: float) -> None:
        """Skip a timeout: a ping is due now, as if none had been sent."""
        self._outstanding = False
        self._due = now


class LivenessOwner(Protocol):
    """The connection that a :class:`Liveness` pings and times out. No method blocks."""

    @property
    def joined(self) -> bool:
        """Whether the client has joined a namespace."""
        ...

    @property
    def timeout_suppressed(self) -> bool:
        """Whether a pong may have arrived that the server has not read."""
        ...

    def ping(self) -> None:
        """Send a ping."""
        ...

    def pong_missing(self) -> None:
        """Called when the next ping would be due and no pong has come."""
        ...

    def join_timed_out(self) -> None:
        """End, as the client has joined no namespace in time."""
        ...

    def ping_timed_out(self) -> None:
        """End, as no pong came in time."""
        ...


class Liveness:
    """Pings one client and times it out, from its handshake until :meth:`stop`.

    Its deadlines are absolute. A ping is sent with others that are due soon; a timeout is never
    early.

    :param wheel: calls :meth:`check`.
    """

    __slots__ = ("_heartbeat", "_join_deadline", "_owner", "_tick", "_wheel")

    def __init__(
        self, owner: LivenessOwner, options: ServerOptions, wheel: TimerWheel[Liveness]
    ) -> None:
        now = trio.current_time()
        self._owner = owner
        self._heartbeat = Heartbeat(now, options.ping_interval, options.ping_timeout)
        self._join_deadline = now + options.connect_timeout
        self._wheel = wheel
        self._tick: Tick[Liveness] | None = None
        self._set_timer(now)

    def pong(self) -> None:
        """Receive a pong; if the next ping is overdue, send it."""
        now = trio.current_time()
        self._heartbeat.pong(now)
        if self._tick is not None and self._heartbeat.next_check(now) <= now:
            self._wheel.remove(self._tick, self)
            self.check()

    def ping_soon(self) -> None:
        """Ping behind what is sent in this step, unless a ping is outstanding."""
        now = trio.current_time()
        if self._tick is not None and self._heartbeat.hasten(now):
            self._wheel.remove(self._tick, self)
            self._set_timer(now)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._tick is not None:
            self._wheel.remove(self._tick, self)
            self._tick = None

    def _set_timer(self, now: float) -> None:
        when = self._heartbeat.next_check(now)
        if not self._owner.joined:
            when = min(when, self._join_deadline)
        self._tick = self._wheel.add(when, self)

    def check(self) -> None:
        """Do what is due; a ping may be a little early."""
        now = trio.current_time()
        owner = self._owner
        if now >= self._join_deadline and not owner.joined:
            owner.join_timed_out()
            return
        beat = self._heartbeat.beat(now, early=self._wheel.tick)
        if beat is Beat.TIMEOUT:
            if not owner.timeout_suppressed:
                owner.ping_timed_out()
                return
            self._heartbeat.restart(now)
            beat = self._heartbeat.beat(now)
        if beat is Beat.PING:
            owner.ping()
        elif owner.joined:
            owner.pong_missing()
        if self._tick is not None:  # else the ping has broken the connection
            self._set_timer(now)


def liveness_wheel(timers: Timers, options: ServerOptions) -> TimerWheel[Liveness]:
    """Return the wheel of a server's heartbeats: a hundred ticks in an interval."""
    return TimerWheel(timers, options.ping_interval / _TICKS, Liveness.check)


class LiveChannel(Channel):
    """A channel that ends when its peer does not answer pings.

    A subclass calls :meth:`start_liveness` once, and :meth:`pong_received` for each pong.

    :param options: how often to ping, how long to wait, how much may be queued.
    """

    __slots__ = (
        "_liveness",
        "_options",
        "_pinged_at",
        "_pings",
        "_pongs",
        "_sent_at_ping",
        "_when_received",
        "lagging",
        "round_trip",
    )

    def __init__(
        self, transport: Transport, tasks: ChannelTasks, options: ServerOptions, on_end: OnEnd
    ) -> None:
        super().__init__(transport, tasks, options.outbox, on_end)
        self._options = options
        self._sent_at_ping = 0
        self._pinged_at: float | None = None
        """Trio time of the first ping that is not answered yet."""
        self.round_trip: float | None = None
        """Seconds from the last ping that was answered to its pong, the time in the outbox
        included; ``None``: none was yet."""
        self.lagging = False
        """Whether the peer does not keep up: its outbox is congested, or was not empty for
        :data:`LAG`. Checked when that becomes congested or is no longer, at each ping and pong,
        and where a pong does not come for an interval.
        """
        self._liveness: Liveness | None = None
        self._pings = self._pongs = 0
        self._when_received: tuple[tuple[int, Callable[[], None]], ...] = ()
        """What is called at which pong."""

    @property
    @abstractmethod
    def ping_message(self) -> Message:
        """A ping; keyed, so that at most one is queued."""

    def start_liveness(self, wheel: TimerWheel[Liveness]) -> None:
        """Begin to ping; the deadlines count from now."""
        self._liveness = Liveness(self, self._options, wheel)

    def pong_received(self) -> None:
        """Receive the peer's pong."""
        if self._pinged_at is not None:
            self.round_trip = trio.current_time() - self._pinged_at
            self._pinged_at = None
        self._check_lag(answered=True)
        self._pongs += 1
        if self._when_received:
            self._call_received()
        if self._liveness is not None:
            self._liveness.pong()
            if self._when_received:
                self._liveness.ping_soon()

    def when_received(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the peer has received all that is sent to it in this step.

        The peer is pinged, soon. If the channel ends before, or a ping was replaced by a later one
        as the peer does not read, it is never called.

        :param callback: must not block or raise.
        """
        if self._liveness is not None:
            self._when_received = (*self._when_received, (self._pings + 1, callback))
            self._liveness.ping_soon()

    def _call_received(self) -> None:
        # Each ping has its pong: an earlier one proves nothing.
        waiting, pongs = self._when_received, self._pongs
        self._when_received = tuple(each for each in waiting if each[0] > pongs)
        for number, callback in waiting:
            if number <= pongs:
                callback()

    def ended(self, reason: str) -> None:
        """See :class:`Channel`; a subclass extends it."""
        if self._liveness is not None:
            self._liveness.stop()
            self._liveness = None  # it refers to the channel
        self._when_received = ()

    # Whether the peer keeps up.

    def outbox_congested(self) -> None:
        """See :class:`Channel`."""
        self._check_lag()

    def outbox_drained(self) -> None:
        """See :class:`Channel`."""
        super().outbox_drained()
        self._check_lag()

    def _check_lag(self, *, answered: bool = False) -> None:
        """Find out whether the peer keeps up.

        :param answered: it has just answered a ping, so it has read what was queued before that.
        """
        since = self.outbox.behind_since
        behind = not answered and since is not None and trio.current_time() - since >= LAG
        lagging = self.reason is None and (behind or self.outbox.congested)
        if lagging is not self.lagging:
            self.lagging = lagging
            if self.reason is None:
                self.lag_changed()

    def lag_changed(self) -> None:
        """Called when :attr:`lagging` changes, before the end; must not block or raise."""

    # What its liveness calls.

    @property
    def joined(self) -> bool:
        """See :class:`LivenessOwner`."""
        return True

    @property
    def timeout_suppressed(self) -> bool:
        """Whether a pong may be unread, as reading is paused or was less than a timeout ago.

        If reading is paused because the peer does not read, it times out nevertheless, unless
        it has read something since the ping.
        """
        if not self._when_unpaused:
            return trio.current_time() < self._resumed_at + self._options.ping_timeout
        if self.outbox.sent_bytes != self._sent_at_ping:
            return True
        return self.backlogged and not self.outbox.congested  # else its events wait for it

    def ping(self) -> None:
        """Send a ping."""
        if self._pinged_at is None:
            self._pinged_at = trio.current_time()
        self._sent_at_ping = self.outbox.sent_bytes
        self._pings += 1
        self._check_lag()
        self.outbox.send(self.ping_message)

    def pong_missing(self) -> None:
        """See :class:`LivenessOwner`."""
        self._check_lag()

    def join_timed_out(self) -> None:
        """Close: the client has joined no namespace in time."""
        self.end("transport close", CloseCode.POLICY_VIOLATION, "no namespace joined in time")

    def ping_timed_out(self) -> None:
        """Close: no pong came in time."""
        self.end("ping timeout", CloseCode.POLICY_VIOLATION, "ping timeout", discard=True)
