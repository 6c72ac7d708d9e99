"""One direction of a simulated connection."""

from __future__ import annotations

from collections import deque

import trio

from gbs_actor.testing.network.conditions import Conditions


class Flow:
    """The bytes from one end of a connection to the other, and the end behind them."""

    __slots__ = (
        "_arrived",
        "_ended",
        "_in_flight",
        "conditions",
        "held",
        "limit",
        "lost",
        "pending",
    )

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.pending = 0
        """Bytes that were sent and not received."""
        self.held = False
        """Whether nothing is received now, whatever has arrived."""
        self.limit: int | None = None
        """Bytes that one receive returns at most."""
        self._arrived = bytearray()
        self._in_flight: deque[tuple[float, bytes]] = deque()
        """When what arrives, at the earliest; the end is b""."""
        self._ended = False
        self.lost = False
        """Whether nothing arrives any more, unnoticed by both ends."""

    # The sender's side

    @property
    def room(self) -> int:
        """How many bytes may be sent."""
        return self.conditions.buffer - self.pending

    @property
    def writable(self) -> bool:
        """Whether a poller reports room: TCP does so once a third of the buffer is free."""
        return self.pending * 3 <= self.conditions.buffer * 2

    def send(self, data: bytes) -> None:
        """Send bytes that there is room for."""
        self.pending += len(data)
        self._send(data)

    def end(self) -> None:
        """Send nothing more."""
        self._send(b"")

    def _send(self, data: bytes) -> None:
        if self.lost:
            return
        arrival = self.conditions.arrival()
        if arrival is None:
            self._arrive(data)
        else:
            self._in_flight.append((arrival, data))  # arrives behind those before it

    # The receiver's side

    def receive(self, size: int) -> bytes:
        """Return some of the bytes that have arrived; b"" if there are none."""
        self._settle()
        available = min(size, len(self._arrived))
        if not available or self.held:
            return b""
        if self.limit is not None:
            available = min(available, self.limit)
        count = self.conditions.received(available)
        data = bytes(self._arrived[:count])
        del self._arrived[:count]
        self.pending -= count
        return data

    @property
    def readable(self) -> bool:
        """Whether bytes have arrived."""
        self._settle()
        return bool(self._arrived) and not self.held

    @property
    def unreceived(self) -> bool:
        """Whether there are bytes that were not received, in flight or arrived."""
        return bool(self._arrived) or any(data for _, data in self._in_flight)

    @property
    def ended(self) -> bool:
        """Whether the end has arrived, perhaps with bytes before it."""
        self._settle()
        return self._ended and not self.held

    @property
    def next_arrival(self) -> float | None:
        """When more arrives, on Trio's clock; ``None`` if nothing is in flight."""
        return self._in_flight[0][0] if self._in_flight else None

    def _settle(self) -> None:
        if not self._in_flight:
            return
        now = trio.current_time()
        while self._in_flight and self._in_flight[0][0] <= now:
            self._arrive(self._in_flight.popleft()[1])

    def _arrive(self, data: bytes) -> None:
        if data:
            self._arrived += data
        else:
            self._ended = True

    # Its failures

    def break_off(self) -> None:
        """Lose what is in flight, and perhaps what has arrived: the connection is reset."""
        self._settle()
        self._in_flight.clear()
        if not self._ended:
            del self._arrived[self.conditions.kept(len(self._arrived)) :]
        self.pending = len(self._arrived)

    def lose(self) -> None:
        """Lose what is in flight and all that is sent from now on, unnoticed by both ends."""
        self._settle()
        self._in_flight.clear()
        self.lost = True
