"""What comes in over a transport: counted, and read no faster than a rate."""

from __future__ import annotations

import trio


class Traffic:
    """What has come in, over all connections of a server."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0


class ReadRate:
    """Reads one peer no faster than so many packets a second in the long run.

    Whoever sends more is not refused but read later, as its stream fills. Counted is what
    comes before it is known what it is: pings, packets for nobody, parts of messages.

    :param rate: packets per second.
    :param burst: packets that may come at once.
    """

    __slots__ = ("_burst", "_in_time_until", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst / rate
        self._in_time_until = 0.0
        """When all that has come would have come, at the rate."""

    async def wait(self, packets: int) -> None:
        """Count packets, and wait before the next ones are read where these came too fast.

        Not a checkpoint where they did not. Cancelled, they are counted.
        """
        now = trio.current_time()
        self._in_time_until = max(self._in_time_until, now) + packets / self._rate
        ahead = self._in_time_until - now - self._burst
        if ahead > 0:
            await trio.sleep(ahead)
