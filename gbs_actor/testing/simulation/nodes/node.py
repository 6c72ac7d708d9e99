"""One of several simulated servers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol

from gbs_actor.environment import Environment
from gbs_actor.rooms import RoomState, RoomSupervisor, Tracepoint
from gbs_actor.settings import RoomSettings
from gbs_actor.testing.simulation.disturbances import Disturbances
from gbs_actor.testing.simulation.history import History
from gbs_actor.testing.simulation.nodes.bus import SimBus
from gbs_actor.testing.simulation.nodes.store import NodeStore
from gbs_actor.testing.simulation.rooms.server import OnTracepoint, SimServer


class Observer(Protocol):
    """Called when a room of a node passes a step of its loop."""

    def __call__(self, slug: str, tracepoint: Tracepoint, node: int) -> None:
        """See :class:`Observer`."""


class Node(SimServer):
    """A server that shares its store with others, and what disturbs it.

    :param number: names it.
    :param bus: between it and the others; ``None``: there is none.
    :param numbers: of what disturbs it.
    """

    store: NodeStore

    def __init__(
        self,
        number: int,
        store: NodeStore,
        config: RoomSettings,
        environment: Environment,
        observe: Observer,
        *,
        bus: SimBus | None,
        history: History,
        numbers: Iterator[int],
    ) -> None:
        super().__init__(store, config, environment, partial(observe, node=number))
        self.number = number
        self.disturbances = Disturbances(history, self.is_calm, number, numbers)
        self._bus = bus

    def is_calm(self) -> bool:
        """Whether it takes connections, and all its rooms work and have what the store has."""
        store = self.store
        return (
            self.is_up
            and store.is_reachable
            and not store.busy
            and all(
                room.state is RoomState.RUNNING
                and room.phase is None
                and (room.revision, room.epoch) == store.state_of(room.slug)
                and not (room.resolving or room.store_down)
                for room in self.rooms.statistics().rooms
            )
        )

    def _supervisor(self, observe: OnTracepoint) -> RoomSupervisor:
        return RoomSupervisor(
            self.store,
            self._config,
            bus=None if self._bus is None else self._bus.of_node(self.number),
            environment=self._environment,
            observe=observe,
        )
