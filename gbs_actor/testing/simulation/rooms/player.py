"""Plays a plan on rooms."""

from __future__ import annotations

from collections import Counter

import trio

from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import RoomSettings
from gbs_actor.testing.simulation.history import Cause, History
from gbs_actor.testing.simulation.plan import Plan, Step, steps
from gbs_actor.testing.simulation.player import Player
from gbs_actor.testing.simulation.rooms.client import Client
from gbs_actor.testing.simulation.rooms.server import SimServer
from gbs_actor.testing.store import SimStore


async def play(plan: Plan, counters: Counter[str]) -> History:
    """Play a plan to its end.

    :param counters: counts what was reached: faults, states, steps of rooms.
    """
    player = _RoomsPlayer(plan, counters)
    await player.play()
    return player.history


class _RoomsPlayer(Player[Client]):
    """One simulation of rooms."""

    def __init__(self, plan: Plan, counters: Counter[str]) -> None:
        super().__init__(plan, counters)
        store = SimStore(environment=self.environment)
        config = RoomSettings.model_validate(plan.settings)
        self.server = SimServer(store, config, self.environment, self.passed)

    async def play(self) -> None:
        """Play the plan."""
        await self.prepare(self.store)
        self.clients = {each.number: Client(each, self) for each in self.plan.clients}
        async with trio.open_nursery() as self.nursery:
            self.nursery.start_soon(self.server.run, self._server_ended)
            await self.server.wait_up()
            await self.play_steps()
            self.nursery.cancel_scope.cancel()
        for end in self.ends:
            self.history.record(end)

    @property
    def store(self) -> SimStore:
        """See :class:`Player`."""
        return self.server.store

    @property
    def rooms(self) -> RoomSupervisor:
        """See :class:`Player`."""
        return self.server.rooms

    @property
    def is_up(self) -> bool:
        """See :class:`Player`."""
        return self.server.is_up

    def server_of(self, client: int) -> SimServer:
        """See :class:`~gbs_actor.testing.simulation.rooms.client.Run`."""
        return self.server

    async def wait_up(self, client: int | None = None) -> None:
        """See :class:`Player`, and :class:`~gbs_actor.testing.simulation.rooms.client.Run`."""
        await self.server.wait_up()

    def let(self, client: Client, step: Step) -> None:
        """See :class:`Player`."""
        if self.server.is_running:
            super().let(client, step)

    async def shut_down(self, step: steps.Shutdown) -> None:
        """See :class:`Player`."""
        if self.server.is_up:
            self.counters["shut down"] += 1
            over = self.disturbances.begin(Cause.STOP, "shutdown")
            await self.server.stop(step.drain_for)
            over()

    def shut_down_at_once(self) -> None:
        """See :class:`Player`."""
        self.server.cancel()

    def kill(self, down_for: float) -> None:
        """See :class:`Player`."""
        if not self.server.is_running:
            return
        self.counters["killed"] += 1
        self.disturbances.happened(Cause.KILL, "kill")
        for client in self.clients.values():
            client.cut()
            client.abandon_http(self.server)
        killed = self.store
        self.server.kill()
        self.note_killed(killed)
        self._start_again(down_for)

    def _server_ended(self) -> None:
        """Cut the connections of a server that has ended, and start another one."""
        ended = self.store
        self.server.store = ended.detach()
        self.note_killed(ended)  # a commit whose outcome it did not learn may come later
        for client in self.clients.values():
            client.cut()
            client.abandon_http(self.server)
        self._start_again(0.0)

    def _start_again(self, down_for: float) -> None:
        self.nursery.start_soon(self.server.run, self._server_ended, down_for)
        for client in self.clients.values():
            self.nursery.start_soon(client.come_back, "resume")
