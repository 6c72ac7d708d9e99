"""All nodes of a store, as one of them sees them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import trio

from gbs_actor.environment import Environment
from gbs_actor.gateway.nodes.status import (
    NodeState,
    NodeStatus,
    NodeSummary,
    encoded,
    state_of,
    summary_of,
)
from gbs_actor.store.nodes import NodeDirectory


class Nodes:
    """The servers on one store: reports this one, and reads what the others report.

    A server without a name is the only one: it reports nothing, and never asks the store.

    :param name: of this one among several; ``None``: it is the only one.
    :param status: returns this one as it is now.
    """

    def __init__(
        self,
        name: str | None,
        directory: NodeDirectory,
        status: Callable[[], NodeStatus],
        environment: Environment,
    ) -> None:
        self.name = name
        self._directory = directory
        self._status = status
        self._run_id = UUID(int=0) if name is None else environment.uuid()
        self.seen: dict[NodeState, int] = {}
        """How many nodes there were in each state when they were last listed, this one included."""

    async def report(self) -> None:
        """Store what this one is like now.

        :raises StoreError: the store cannot be reached, or refuses.
        """
        if self.name is None:
            await trio.lowlevel.checkpoint()
            return
        await self._directory.report(self.name, self._run_id, encoded(self._status()), None)

    async def leave(self) -> None:
        """Remove what this one has reported, as it ends.

        :raises StoreError: the store cannot be reached, or refuses.
        """
        await self._directory.remove(self._run_id)

    async def summaries(self) -> tuple[NodeSummary, ...]:
        """Return all nodes, by name; this one as it is now.

        :raises StoreError: the store cannot be reached.
        """
        status = self._status()
        here = NodeSummary(
            node=self.name, here=True, state=state_of(status), reported=0.0, status=status
        )
        if self.name is None:
            await trio.lowlevel.checkpoint()
            return (here,)
        others = [
            summary_of(each) for each in await self._directory.reports() if each.name != self.name
        ]
        return tuple(sorted((here, *others), key=lambda each: each.node or ""))
