"""When to ping a client, and when to give it up: deadlines only, no clock.

Engine.IO v4: the server pings every ``ping_interval``; a client that has not answered
``ping_timeout`` after the ping was due is gone. Both count from the handshake, so that
nothing that delays a ping's delivery moves the deadline.
"""

from __future__ import annotations

from enum import Enum


class Beat(Enum):
    """What is due."""

    NOTHING = "nothing"
    PING = "ping"
    EXPIRED = "expired"


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

    def wake(self, now: float) -> float:
        """Return when to call :meth:`beat` next, whether or not a pong comes first.

        So a pong needs no timer to be moved: the next ping is due no sooner.
        """
        if not self._outstanding:
            return self._due
        deadline = self._due + self._timeout
        following = self._due + self._interval
        return min(following, deadline) if now < following else deadline

    def beat(self, now: float) -> Beat:
        """Return what is due at ``now``; a ping is then taken as sent."""
        if not self._outstanding:
            if now < self._due:
                return Beat.NOTHING
            self._outstanding = True
            return Beat.PING
        return Beat.NOTHING if now < self._due + self._timeout else Beat.EXPIRED

    def pong(self, now: float) -> None:
        """Take a pong. One that answers no ping means nothing."""
        if self._outstanding:
            self._outstanding = False
            self._due = max(self._due + self._interval, now)

    def excuse(self, now: float) -> None:
        """Begin anew: the pong may have come, and was not read through no fault of the peer."""
        self._outstanding = False
        self._due = now
