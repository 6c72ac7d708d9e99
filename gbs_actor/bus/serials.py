"""Whether a message of another node is new, and whether any before it were lost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from gbs_actor.bus.message import Message

MAX_NODES: Final = 1_000
"""Nodes whose serials are remembered."""
MAX_REPLACED: Final = 16
"""Earlier processes of a node that are remembered."""
SILENT_AFTER: Final = 10.0
"""Seconds without a newer message after which an earlier process of a node counts again, and
serials that the node has had."""


class Order(Enum):
    """Where a message stands among those of its node."""

    NEXT = auto()
    GAP = auto()
    """Some before it may be lost, or it is the first one that is known of its node."""
    RESTARTED = auto()
    """It is a gap, and of another process of that name."""
    LATE = auto()
    """A later one has come before it, or it has come already: that was the gap. Or it is of a
    process that another one of that name has replaced, since it was taken for dead."""


@dataclass(slots=True)
class _Node:
    """What is known of a node: its process, and the latest serial of that."""

    run: str
    serial: int
    heard_at: float
    replaced: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_REPLACED))
    """The runs of its earlier processes."""

    def order(self, message: Message, now: float) -> Order:
        silent = now >= self.heard_at + SILENT_AFTER
        if message.run == self.run:
            if message.serial == self.serial + 1:
                return Order.NEXT
            # Without a run, it may have restarted. No message comes so late: else the serial was
            # of none of its messages, and would silence it for good.
            if message.serial <= self.serial and self.run and not silent:
                return Order.LATE
            return Order.GAP
        if message.run in self.replaced and not silent:
            return Order.LATE
        return Order.RESTARTED


class Serials:
    """The latest serial of each other node."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def order(self, message: Message, now: float) -> Order:
        """Return where a message stands, and remember it.

        :param now: when it arrived, in Trio's time.
        """
        node = self._nodes.get(message.node)
        if node is None:
            if len(self._nodes) >= MAX_NODES:
                self._nodes.clear()
            self._nodes[message.node] = _Node(message.run, message.serial, now)
            return Order.GAP
        order = node.order(message, now)
        if order is Order.RESTARTED:
            node.replaced.append(node.run)
            node.run = message.run
        if order is not Order.LATE:
            node.serial, node.heard_at = message.serial, now
        return order
