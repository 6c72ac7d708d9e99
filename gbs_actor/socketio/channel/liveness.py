"""The deadlines of one connection: its heartbeat, and the time in which it has to join."""

from __future__ import annotations

from typing import Protocol

import trio

from gbs_actor.socketio.channel.heartbeat import Beat, Heartbeat
from gbs_actor.socketio.channel.options import ServerOptions
from gbs_actor.socketio.channel.timers import Timer, Timers


class Watched(Protocol):
    """A connection as its vigil sees it. No method blocks."""

    @property
    def ever_joined(self) -> bool:
        """Whether a namespace was joined."""
        ...

    @property
    def excused(self) -> bool:
        """Whether a pong may be there that was not read through no fault of the client."""
        ...

    def ping(self) -> None:
        """Send a ping."""
        ...

    def never_joined(self) -> None:
        """End, as no namespace was joined in time."""
        ...

    def gone(self) -> None:
        """End, as no pong came in time."""
        ...


class Vigil:
    """Watches over one connection from its handshake until :meth:`stop`.

    It has one timer at any time, and no task. Its deadlines are absolute.
    """

    __slots__ = ("_heartbeat", "_joined_by", "_timer", "_timers", "_watched")

    def __init__(self, watched: Watched, options: ServerOptions, timers: Timers) -> None:
        now = trio.current_time()
        self._watched = watched
        self._heartbeat = Heartbeat(now, options.ping_interval, options.ping_timeout)
        self._joined_by = now + options.connect_timeout
        self._timers = timers
        self._timer: Timer | None = None
        self._set_timer(now)

    def pong(self) -> None:
        """Take a pong; where the next ping is overdue, send it."""
        now = trio.current_time()
        self._heartbeat.pong(now)
        if self._timer is not None and self._heartbeat.wake(now) <= now:
            self._timer.cancel()
            self._fire()

    def stop(self) -> None:
        """Let no deadline pass any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, now: float) -> None:
        when = self._heartbeat.wake(now)
        if not self._watched.ever_joined:
            when = min(when, self._joined_by)
        self._timer = self._timers.call_at(when, self._fire)

    def _fire(self) -> None:
        now = trio.current_time()
        watched = self._watched
        if now >= self._joined_by and not watched.ever_joined:
            watched.never_joined()
            return
        beat = self._heartbeat.beat(now)
        if beat is Beat.EXPIRED:
            if not watched.excused:
                watched.gone()
                return
            self._heartbeat.excuse(now)
            beat = self._heartbeat.beat(now)
        if beat is Beat.PING:
            watched.ping()
        if self._timer is not None:  # else the ping has broken the connection
            self._set_timer(now)
