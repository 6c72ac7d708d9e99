"""What servers on one store, its nodes, know of each other, and ask of each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

KEPT_FOR: Final = 3_600.0
"""Seconds for which the last report of a node is kept."""
REQUEST_KEPT_FOR: Final = 60.0
"""Seconds behind its deadline for which a request is kept."""
MAX_STATUS: Final = 65_536
"""Bytes of a status, at most."""
MAX_ROOMS: Final = 4 * 2**20
"""Bytes of a list of rooms, at most."""
MAX_REQUEST: Final = 131_072
"""Bytes of a request, at most."""
MAX_ANSWER: Final = 4 * 2**20
"""Bytes of an answer, at most."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node has last reported of itself. Its status is of its own version."""

    name: str
    run_id: UUID
    """Another one at each start of the node."""
    age: float
    """Seconds since then, by the store's clock."""
    status: bytes


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What another node asks for."""

    id: UUID
    request: bytes
    timeout: float
    """Seconds, by the store's clock, after which nobody waits for it any more."""


class NodeDirectory(Protocol):
    """The nodes of a store, and their requests to each other.

    Every method may raise :exc:`~gbs_actor.store.protocol.StoreUnavailable`; what is sent by one
    that raises :exc:`~gbs_actor.store.protocol.OutcomeUnknown` may have taken effect.
    """

    async def report(self, name: str, run_id: UUID, status: bytes, rooms: bytes | None) -> None:
        """Store what a node says of itself, in place of what it said before.

        :param rooms: ``None``: as before.
        :raises CommitRefused: it is too large.
        """
        ...

    async def remove(self, run_id: UUID) -> None:
        """Remove a node that ends."""
        ...

    async def reports(self) -> list[NodeReport]:
        """Return the last report of each node, by name; of those that have ended, for an hour."""
        ...

    async def rooms(self, run_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """Return the rooms of some nodes, as they have reported them."""
        ...

    async def ask(self, request_id: UUID, run_id: UUID, request: bytes, time_limit: float) -> None:
        """Ask something of a node.

        :param request_id: a fresh one.
        :param time_limit: seconds, by the store's clock, after which the node does not begin.
        :raises CommitRefused: it is too large.
        """
        ...

    async def take(self, run_id: UUID, limit: int) -> list[NodeRequest]:
        """Return requests to a node, the oldest first; each is returned once, and in time only."""
        ...

    async def answer(self, request_id: UUID, answer: bytes) -> None:
        """Answer a request that was taken; without effect if nobody waits any more.

        :raises CommitRefused: it is too large.
        """
        ...

    async def take_answer(self, request_id: UUID) -> bytes | None:
        """Return the answer to a request, and remove both; ``None``: there is none yet."""
        ...

    async def discard(self, request_id: UUID) -> None:
        """Remove a request, whatever has become of it; who has taken it may do it all the same."""
        ...

    async def withdraw(self, request_id: UUID) -> bool:
        """Remove a request that was not taken; return whether it never will be taken."""
        ...
