"""A supervisor over a store that can fail, and shorthands for the tests of rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import trio

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSettings, RoomState, RoomSupervisor, Tracepoint
from gbs_actor.testing.store import SimStore

from .peers import Client, Pending
from .retreats import sim_store

COMMAND_ID = UUID(int=7)


class World:
    """A supervisor over a store that can fail."""

    def __init__(
        self,
        supervisor: RoomSupervisor,
        store: SimStore,
        bugs: Bugs,
        events: OperatorEvents,
    ) -> None:
        self.events = events
        self.supervisor = supervisor
        self.store = store
        self.bugs = bugs

    async def client(self, user_id: int = 1, slug: str = "winter") -> Client:
        client = Client(self.supervisor, user_id)
        await client.join(slug)
        return client

    def state(self, slug: str = "winter") -> RoomState | None:
        statistics = self.supervisor.room_statistics(slug)
        return None if statistics is None else statistics.state


class Bugs:
    """Crashes a room at the given moments, one a time."""

    def __init__(self) -> None:
        self.at: list[Tracepoint] = []
        self.slug = "winter"
        self.times: list[float] = []
        """When it crashed, in Trio's time."""
        self.passes = 0
        """How often the tracepoint is passed before the next crash."""

    def __call__(self, slug: str, tracepoint: Tracepoint) -> None:
        if slug == self.slug and self.at and tracepoint is self.at[0]:
            if self.passes:
                self.passes -= 1
                return
            del self.at[0]
            self.times.append(trio.current_time())
            raise ZeroDivisionError("a bug")


@asynccontextmanager
async def world(
    *slugs: str,
    config: RoomSettings | None = None,
    people: int = 8,
    environment: Environment = SYSTEM,
) -> AsyncIterator[World]:
    store = await sim_store(*slugs, people=people)
    bugs = Bugs()
    events = OperatorEvents()
    supervisor = RoomSupervisor(store, config, events=events, environment=environment, observe=bugs)
    async with supervisor.running():
        yield World(supervisor, store, bugs, events)


def code(answer: object) -> Code | None:
    return answer.code if isinstance(answer, Rejection) else None


def give_all(client: Client, *numbers: int) -> list[Pending]:
    return [client.give(client.command(AssignNumber(7, number))) for number in numbers]
