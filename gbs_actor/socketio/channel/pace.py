"""How fast a peer is read."""

from __future__ import annotations

import trio


class Pace:
    """Reads one peer no faster than so many packets a second in the long run.

    Whoever sends more is not refused but read later, as its stream fills. Counted is what
    comes before it is known what it is: pings, packets for nobody, parts of messages.

    :param rate: packets per second.
    :param burst: packets that may come at once.
    """

    __slots__ = ("_burst", "_paid", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst / rate
        self._paid = 0.0
        """The time until which all that has come would have been in time, one by one."""

    async def keep(self, packets: int) -> None:
        """Count packets, and wait before the next ones are read where these came too fast.

        Not a checkpoint where they did not. Cancelled, they are counted.
        """
        now = trio.current_time()
        self._paid = max(self._paid, now) + packets / self._rate
        ahead = self._paid - now - self._burst
        if ahead > 0:
            await trio.sleep(ahead)
