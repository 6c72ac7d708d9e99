"""All nodes of a store, as one of them sees them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import trio

from gbs_actor.environment import Environment
from gbs_actor.gateway.nodes.outgoing import OutgoingRequests
from gbs_actor.gateway.nodes.room_list import RoomList, decode_rooms
from gbs_actor.gateway.nodes.status import (
    GONE_AFTER,
    NodeState,
    NodeStatus,
    NodeSummary,
    encoded,
    state_of,
    summary_of,
)
from gbs_actor.rooms import RoomSummary
from gbs_actor.store.nodes import NodeDirectory, NodeReport, NodeRequest
from gbs_actor.store.protocol import StoreError

_FRESH: Final = 1.0
"""Seconds for which the rooms of others are not read again."""
_READ_WITHIN: Final = 2.0
"""Seconds after which they are not waited for."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of the others last, and when."""

    read_at: float
    reports: list[NodeReport]


class Nodes:
    """The servers on one store: reports this one, and reads what the others report.

    A server without a name is the only one: it reports nothing, and never asks the store.

    :param name: of this one among several; ``None``: it is the only one.
    :param status: returns this one as it is now.
    :param rooms: yields its rooms.
    """

    def __init__(
        self,
        name: str | None,
        directory: NodeDirectory,
        status: Callable[[], NodeStatus],
        rooms: Callable[[], Iterator[RoomSummary]],
        environment: Environment,
    ) -> None:
        self.name = name
        self._directory = directory
        self._status = status
        self._rooms = RoomList(rooms, environment)
        self._known = _Known(trio.current_time(), [])
        self._elsewhere: tuple[float, list[RoomSummary]] = (-math.inf, [])
        self._reading = trio.Lock()
        self.outgoing = OutgoingRequests(directory, environment)
        """What this one asks of the others."""
        self._run_id = UUID(int=0) if name is None else environment.uuid()
        self.seen: Mapping[NodeState, int] = {}
        """How many nodes there were in each state at the last report, this one included."""

    async def report(self) -> None:
        """Store what this one is like now, and read what the others have reported.

        :raises StoreError: the store cannot be reached, or refuses.
        """
        if self.name is None:
            await trio.lowlevel.checkpoint()
            return
        rooms = await self._rooms.encoded_if_due()
        await self._directory.report(self.name, self._run_id, encoded(self._status()), rooms)
        began = trio.current_time()
        reports = [each for each in await self._directory.reports() if each.name != self.name]
        self._known = _Known(began, reports)
        self.seen = Counter(each.state for each in self.summaries())

    async def leave(self) -> None:
        """Remove what this one has reported, as it ends.

        :raises StoreError: the store cannot be reached, or refuses.
        """
        await self._directory.remove(self._run_id)

    def others(self) -> list[NodeReport]:
        """Return the reports of the other nodes that are there, by name."""
        return [each for each in self._reports() if each.age <= GONE_AFTER]

    def gone(self) -> list[str]:
        """Return the names of those that have not reported for long, and have not left."""
        return [each.name for each in self._reports() if each.age > GONE_AFTER]

    def last_seen(self) -> list[NodeReport]:
        """Return the reports of those that were there when the store was last read."""
        return [each for each in self._known.reports if each.age <= GONE_AFTER]

    def names(self) -> tuple[str, ...]:
        """Return the names of the nodes that are there, this one's too, if it has one."""
        if self.name is None:
            return ()
        return tuple(sorted((self.name, *(each.name for each in self.others()))))

    async def rooms_elsewhere(self) -> list[RoomSummary]:
        """Return the rooms of the other nodes that are there, as they were some seconds ago.

        Without the store they are those that were known last.
        """
        names = {each.run_id: each.name for each in self.others()}
        if not names:
            await trio.lowlevel.checkpoint()
            return []
        async with self._reading:  # whoever asks meanwhile gets the same
            read_at, rooms = self._elsewhere
            if trio.current_time() - read_at >= _FRESH:
                with suppress(StoreError), trio.move_on_after(_READ_WITHIN):
                    stored = await self._directory.rooms(names)
                    rooms = [
                        room
                        for run_id, of_node in stored.items()
                        for room in await decode_rooms(of_node, names[run_id])
                    ]
                self._elsewhere = (trio.current_time(), rooms)
        there = set(names.values())
        return [room for room in rooms if room.node in there]

    async def take(self, limit: int) -> list[NodeRequest]:
        """Return what others ask of this one, the oldest first; each is returned once.

        :raises StoreError: the store cannot be reached, or refuses.
        """
        return await self._directory.take(self._run_id, limit)

    async def answer(self, request: NodeRequest, answer: bytes) -> None:
        """Answer what was taken.

        :raises StoreError: the store cannot be reached, or refuses what is too large.
        """
        await self._directory.answer(request.id, answer)

    def summaries(self) -> tuple[NodeSummary, ...]:
        """Return all nodes, by name: this one as it is now, the others as they have reported."""
        status = self._status()
        here = NodeSummary(
            node=self.name, here=True, state=state_of(status), reported=0.0, status=status
        )
        others = map(summary_of, self._reports())
        return tuple(sorted((here, *others), key=lambda each: each.node or ""))

    def _reports(self) -> list[NodeReport]:
        """Return what the others have reported, as far as is known, with their ages by now."""
        since = trio.current_time() - self._known.read_at
        return [replace(each, age=each.age + since) for each in self._known.reports]
