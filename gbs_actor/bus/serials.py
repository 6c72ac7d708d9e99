"""Whether a message of another node is new, and whether any before it were lost."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from gbs_actor.bus.message import Message

MAX_NODES: Final = 1_000
"""Nodes whose serials are remembered."""


class Order(Enum):
    """Where a message stands among those of its node."""

    NEXT = auto()
    GAP = auto()
    """Some before it may be lost, or it is the first one that is known of its node."""
    RESTARTED = auto()
    """It is a gap, and of another process of that name."""
    LATE = auto()
    """A later one has come before it, or it has come already: that was the gap."""


class Serials:
    """The latest serial of each other node."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, int]] = {}
        """Run and serial."""

    def __len__(self) -> int:
        return len(self._latest)

    def order(self, message: Message) -> Order:
        """Return where a message stands, and remember it."""
        run, serial = self._latest.get(message.node, (None, 0))
        if run is None:
            order = Order.GAP
        elif run != message.run:
            order = Order.RESTARTED
        elif message.serial == serial + 1:
            order = Order.NEXT
        elif message.serial <= serial and run:
            return Order.LATE
        else:
            order = Order.GAP  # without a run, it may have restarted
        if len(self._latest) >= MAX_NODES:
            self._latest.clear()
        self._latest[message.node] = (message.run, message.serial)
        return order
