"""Several servers on one store."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import trio

from gbs_actor.bus import Bus
from gbs_actor.rooms import RoomSettings, RoomSupervisor, Tracepoint
from gbs_actor.testing.environment import seeded_environment
from gbs_actor.testing.store import SimStore
from tests.bus.hub import Hub

from .peers import BatchClient, Client
from .retreats import small_seed

UNSEEN: Final = RoomSettings(comparison_interval=1e6)
"""Others' changes are seen only where somebody asks."""


class Node:
    """A server, and the store as it reaches it."""

    def __init__(
        self, store: SimStore, config: RoomSettings | None, seed: int, bus: Bus | None = None
    ) -> None:
        self.store = store
        self.passed: Counter[Tracepoint] = Counter()
        self.crash_at: Tracepoint | None = None
        """Where the next crash is."""
        self.supervisor = RoomSupervisor(
            store,
            config,
            bus=bus,
            environment=seeded_environment(seed),
            observe=self._observe,
        )

    def _observe(self, slug: str, tracepoint: Tracepoint) -> None:
        self.passed[tracepoint] += 1
        if tracepoint is self.crash_at:
            self.crash_at = None
            raise ZeroDivisionError("a bug")

    async def client(self, user_id: int = 1, slug: str = "winter") -> Client:
        client = Client(self.supervisor, user_id)
        await client.join(slug)
        return client

    async def batch_client(self, user_id: int = 1) -> BatchClient:
        client = BatchClient(self.supervisor, user_id)
        await client.join("winter")
        return client


@asynccontextmanager
async def nodes(
    count: int,
    *,
    config: RoomSettings | None = None,
    latencies: Sequence[float] = (),
    slugs: Sequence[str] = ("winter",),
    stores: type[SimStore] = SimStore,
    hub: Hub | None = None,
) -> AsyncIterator[list[Node]]:
    """Run servers.

    :param latencies: seconds, at most, from each of them to the store; default: none.
    :param hub: what a bus between them goes over; default: there is no bus.
    """
    first = stores(identity="test", shared=True)
    for slug in slugs:
        await first.import_retreat(small_seed(slug))
    all_stores = [first, *(first.elsewhere() for _ in range(count - 1))]
    for store, latency in zip(all_stores, latencies, strict=False):
        store.latency = latency
    running = [
        Node(store, config, number, None if hub is None else hub.bus(str(number)))
        for number, store in enumerate(all_stores)
    ]
    async with AsyncExitStack() as stack:
        for node in running:
            await stack.enter_async_context(node.supervisor.running())
        yield running
        with trio.move_on_after(30):
            for node in running:
                await node.supervisor.drain()
