"""The other servers, as far as messages of them arrive, and what is missing of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from gbs_actor.bus.presence import MAX_NODES

TIMEOUT: Final = 10.0
"""Seconds without a message after which a node counts as gone."""
REPEAT: Final = 2.0
"""Seconds after which a node is asked again, for what it has not sent or for what was lost."""
TOGETHER: Final = 0.1
"""Seconds for which a request waits, so that it may go to several nodes."""


@dataclass(slots=True)
class _Node:
    heard_at: float
    missing: dict[int, float] = field(default_factory=dict)
    """When to ask for each retreat of which it has not sent who is there."""
    gap_at: float = inf
    """When to ask for all rooms, since messages were lost."""
    asked_at: float = -inf
    """When it was last asked for all rooms."""

    def due(self) -> float:
        return min(self.gap_at, min(self.missing.values(), default=inf))


class OtherNodes:
    """Which nodes there are, and what to ask them for. All times are Trio's."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def hear(self, name: str, now: float, *, gap: bool) -> bool:
        """Note a message of a node; return whether it is to be heeded: of too many it is not.

        :param gap: whether earlier ones may have been lost.
        """
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= MAX_NODES:
                return False
            node = self._nodes[name] = _Node(now)
            gap = True
        node.heard_at = now
        if gap:
            node.gap_at = min(node.gap_at, max(now + TOGETHER, node.asked_at + REPEAT))
        return True

    def remove(self, name: str) -> None:
        """Note that a node is gone."""
        self._nodes.pop(name, None)

    def silent(self, now: float) -> list[str]:
        """Return the nodes that have not been heard of for too long, for :meth:`remove`."""
        return [name for name, node in self._nodes.items() if node.heard_at + TIMEOUT <= now]

    def miss(self, retreat_id: int, now: float) -> None:
        """Ask all nodes for a room soon."""
        for node in self._nodes.values():
            node.missing.setdefault(retreat_id, now)

    def receive(self, name: str, retreat_id: int) -> None:
        """Note that a node has sent who is in a room."""
        if (node := self._nodes.get(name)) is not None:
            node.missing.pop(retreat_id, None)

    def close(self, retreat_id: int) -> None:
        """Ask nobody for a room any more."""
        for node in self._nodes.values():
            node.missing.pop(retreat_id, None)

    def due(self) -> float:
        """Return when :meth:`silent` or :meth:`requests` have something to return."""
        return min(
            (min(node.heard_at + TIMEOUT, node.due()) for node in self._nodes.values()),
            default=inf,
        )

    def requests(
        self, retreat_ids: Iterable[int], now: float
    ) -> list[tuple[tuple[str, ...], list[int]]]:
        """Return whom to ask now, and for which rooms.

        :param retreat_ids: all rooms that there are.
        """
        asked: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name, node in self._nodes.items():
            if node.gap_at <= now:
                node.gap_at, node.asked_at = inf, now
                node.missing.update(dict.fromkeys(retreat_ids, now))
            wanted = [retreat_id for retreat_id, at in node.missing.items() if at <= now]
            if wanted:
                node.missing.update(dict.fromkeys(wanted, now + REPEAT))
                asked[tuple(sorted(wanted))].append(name)
        return [(tuple(sorted(names)), list(wanted)) for wanted, names in asked.items()]
