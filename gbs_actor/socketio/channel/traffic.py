"""Incoming packets: counted, and read no faster than a rate."""

from __future__ import annotations

import trio


class Traffic:
    """Incoming traffic over all connections of a server."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0


class ReadRate:
    """Limits the packets per second that are read from one peer.

    A peer that sends more is not refused but read later: its stream fills. All packets count,
    also pings, fragments, and packets that turn out to be invalid.

    :param rate: packets per second.
    :param burst: packets that may come at once.
    """

    __slots__ = ("_burst", "_in_time_until", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst / rate
        self._in_time_until = 0.0
        """When the packets received so far would have arrived at exactly the rate."""

    def count(self, packets: int, now: float) -> float:
        """Count packets; return the seconds until the next ones may be read, 0 mostly.

        :param now: Trio's time.
        """
        former = self._in_time_until
        in_time_until = (former if former > now else now) + packets / self._rate
        self._in_time_until = in_time_until
        ahead = in_time_until - now - self._burst
        return ahead if ahead > 0.0 else 0.0

    async def wait(self, packets: int) -> None:
        """Count packets; if they came too fast, wait before the next ones are read.

        If they did not, this is no checkpoint. Cancelled, they are counted.
        """
        ahead = self.count(packets, trio.current_time())
        if ahead > 0:
            await trio.sleep(ahead)
