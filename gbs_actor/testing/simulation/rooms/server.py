"""The simulated server: rooms over a store, which can be killed, shut down and started anew."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gbs_actor.environment import Environment
from gbs_actor.rooms import RoomSupervisor, Tracepoint
from gbs_actor.settings import RoomSettings
from gbs_actor.testing.store import SimStore

OnTracepoint = Callable[[str, Tracepoint], None]


class SimServer:
    """One server after the other, over the same data.

    :param store: of the first one.
    :param observe: called at the tracepoints of the one that runs.
    """

    def __init__(
        self, store: SimStore, config: RoomSettings, environment: Environment, observe: OnTracepoint
    ) -> None:
        self.store = store
        self._config = config
        self._environment = environment
        self._observe = observe
        self._generation = 0
        self._up = trio.Event()
        self._scope = trio.CancelScope()
        self.rooms: RoomSupervisor
        self.nursery: trio.Nursery
        """Of the requests that it handles."""

    @property
    def is_up(self) -> bool:
        """Whether it takes new connections."""
        return self._up.is_set()

    @property
    def is_running(self) -> bool:
        """Whether it hears its clients."""
        return not self._scope.cancel_called

    async def wait_up(self) -> None:
        """Wait until it takes new connections."""
        while not self._up.is_set():
            await self._up.wait()

    async def run(self, on_end: Callable[[], None], down_for: float = 0.0) -> None:
        """Run a server until it is stopped or killed.

        :param on_end: called when it has ended, unless it was killed.
        :param down_for: seconds before it starts.
        """
        if down_for:
            await trio.sleep(down_for)
        self._generation += 1
        generation = self._generation

        def observe(slug: str, tracepoint: Tracepoint) -> None:
            if generation == self._generation:
                self._observe(slug, tracepoint)

        rooms = self._supervisor(observe)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery, rooms.running():
                self.rooms, self.nursery, self._scope = rooms, nursery, scope
                self._up.set()
                await trio.sleep_forever()
        if generation == self._generation:
            on_end()

    def _supervisor(self, observe: OnTracepoint) -> RoomSupervisor:
        return RoomSupervisor(
            self.store, self._config, environment=self._environment, observe=observe
        )

    def kill(self) -> None:
        """End the process, in one step: what it does from here on reaches nobody."""
        self.store = self.store.detach()
        self._generation += 1
        self.cancel()

    async def stop(self, drain_for: float | None) -> None:
        """End the process as on a signal.

        :param drain_for: seconds that rooms have to finish; ``None``: none.
        """
        rooms, scope = self.rooms, self._scope
        self._up = trio.Event()
        if drain_for is not None:
            with trio.move_on_after(drain_for):
                await rooms.drain()
            rooms.reject_pending()
        scope.cancel()

    def cancel(self) -> None:
        """Cancel the rooms, and all else."""
        self._up = trio.Event()
        self._scope.cancel()
