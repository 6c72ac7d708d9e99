"""The nodes of a store that keeps everything in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from copy import copy
from dataclasses import dataclass
from uuid import UUID

import trio

from gbs_actor.store.nodes import (
    KEPT_FOR,
    MAX_ANSWER,
    MAX_REQUEST,
    MAX_ROOMS,
    MAX_STATUS,
    REQUEST_KEPT_FOR,
    NodeReport,
    NodeRequest,
)
from gbs_actor.store.protocol import CommitRefused


@dataclass(slots=True)
class _Node:
    run_id: UUID
    status: bytes
    rooms: bytes
    reported_at: float


@dataclass(slots=True)
class _Request:
    run_id: UUID
    request: bytes
    deadline: float
    taken: bool = False
    answer: bytes | None = None


class MemoryNodes:
    """Implements :class:`~gbs_actor.store.nodes.NodeDirectory`, by Trio's clock.

    :param contact: each call begins with it, and may fail by it.
    """

    def __init__(self, contact: Callable[[], Awaitable[None]]) -> None:
        self._contact = contact
        self._nodes: dict[str, _Node] = {}
        self._requests: dict[UUID, _Request] = {}

    def reached_by(self, contact: Callable[[], Awaitable[None]]) -> MemoryNodes:
        """Return the same nodes, as another server reaches them."""
        other = copy(self)
        other._contact = contact
        return other

    async def report(self, name: str, run_id: UUID, status: bytes, rooms: bytes | None) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        _check_size(status, MAX_STATUS)
        _check_size(rooms or b"", MAX_ROOMS)
        now, former = trio.current_time(), self._nodes.get(name)
        if rooms is None:
            rooms = b"" if former is None else former.rooms
        self._nodes[name] = _Node(run_id, status, rooms, now)
        for key in [key for key, each in self._nodes.items() if now - each.reported_at > KEPT_FOR]:
            del self._nodes[key]
        for old in [
            key for key, each in self._requests.items() if now - each.deadline > REQUEST_KEPT_FOR
        ]:
            del self._requests[old]

    async def remove(self, run_id: UUID) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        for key in [key for key, each in self._nodes.items() if each.run_id == run_id]:
            del self._nodes[key]

    async def reports(self) -> list[NodeReport]:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        now = trio.current_time()
        return [
            NodeReport(name, node.run_id, now - node.reported_at, node.status)
            for name, node in sorted(self._nodes.items())
        ]

    async def rooms(self, run_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        return {node.run_id: node.rooms for node in self._nodes.values() if node.run_id in run_ids}

    async def ask(self, request_id: UUID, run_id: UUID, request: bytes, time_limit: float) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        _check_size(request, MAX_REQUEST)
        deadline = trio.current_time() + time_limit
        self._requests[request_id] = _Request(run_id, request, deadline)

    async def take(self, run_id: UUID, limit: int) -> list[NodeRequest]:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        now, taken = trio.current_time(), []
        for key, each in self._requests.items():
            if each.run_id == run_id and not each.taken and now < each.deadline:
                each.taken = True
                taken.append(NodeRequest(key, each.request, each.deadline - now))
                if len(taken) == limit:
                    break
        return taken

    async def answer(self, request_id: UUID, answer: bytes) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        _check_size(answer, MAX_ANSWER)
        request = self._requests.get(request_id)
        if request is not None and request.taken:
            request.answer = answer

    async def take_answer(self, request_id: UUID) -> bytes | None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        request = self._requests.get(request_id)
        if request is None or request.answer is None:
            return None
        del self._requests[request_id]
        return request.answer

    async def discard(self, request_id: UUID) -> None:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        self._requests.pop(request_id, None)

    async def withdraw(self, request_id: UUID) -> bool:
        """See :class:`~gbs_actor.store.nodes.NodeDirectory`."""
        await self._contact()
        request = self._requests.get(request_id)
        if request is None or request.taken:
            return False
        del self._requests[request_id]
        return True


def _check_size(value: bytes, most: int) -> None:
    if len(value) > most:
        raise CommitRefused("a value is too long", data_error=True)
