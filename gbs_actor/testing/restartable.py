"""A server in a simulated process: it is stopped, killed and started again over the same data."""

from __future__ import annotations

from collections import defaultdict, deque

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.environment import Environment
from gbs_actor.rooms import RoomStatistics, Tracepoint
from gbs_actor.rooms.tracepoints import Observer
from gbs_actor.server.composition import Composition
from gbs_actor.settings import Settings
from gbs_actor.testing.environment import SimWall
from gbs_actor.testing.network import ClientAddresses, Conditions, SimListener, SimStream
from gbs_actor.testing.process import ServerProcess
from gbs_actor.testing.store import SimStore


class RoomCrash(Exception):
    """What :meth:`RestartableServer.crash_room` lets a room crash with."""


class RestartableServer:
    """One process after the other, and what they share: the store, the network, the clock.

    :param nursery: runs them.
    :param settings: those of each process.
    :param store: what the first one stores in.
    :param environment: where they take the time of day and random bytes from.
    :param conditions: what connections do to their bytes.
    :param plane: whether one task drives all WebSockets.
    :param observe: called at every tracepoint of every room.
    :param demo_sign_in: whether anybody may sign in as one of the retreat's people.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        settings: Settings,
        store: SimStore,
        environment: Environment,
        *,
        conditions: Conditions,
        plane: bool,
        observe: Observer,
        demo_sign_in: bool,
    ) -> None:
        self.settings = settings
        """Those of each process."""
        self.environment = environment
        """Where it takes the time of day and random bytes from."""
        self._nursery = nursery
        self._conditions = conditions
        self._plane = plane
        self._observer = observe
        self._demo_sign_in = demo_sign_in
        self._store = store
        self._process: ServerProcess | None = None
        self._crashes: defaultdict[str, deque[Tracepoint | None]] = defaultdict(deque)
        self._addresses = ClientAddresses()

    # What it is

    @property
    def store(self) -> SimStore:
        """What the server stores in: read it, or let it fail. A restarted server has another."""
        return self._store

    @property
    def wall(self) -> SimWall:
        """The time of day; ``wall.advance(60)`` moves it, and no deadline.

        The server notices at the next command; on connections that are idle, within a minute.

        :raises TypeError: the environment was given, and has another wall clock.
        """
        wall = self.environment.wall
        if not isinstance(wall, SimWall):
            raise TypeError("the environment given to lineup_server has no SimWall: use its own")
        return wall

    @property
    def composition(self) -> Composition:
        """The parts of the process that runs.

        :raises ConnectionRefusedError: none does.
        """
        return self._running().composition

    @property
    def open_sockets(self) -> int:
        """How many connections the process that runs has open.

        :raises ConnectionRefusedError: none does.
        """
        return self._running().open_sockets

    @property
    def listener(self) -> SimListener:
        """Where the process that runs is connected to.

        :raises ConnectionRefusedError: none does.
        """
        return self._running().listener

    def room(self, retreat: str) -> RoomStatistics:
        """Return a retreat's room as it is now.

        :raises LookupError: it is not open: nobody has joined it, or it has stopped.
        """
        rooms = self._running().composition.rooms
        statistics = rooms.room_statistics(retreat)
        if statistics is None:
            is_open = ", ".join(rooms.matching()) or "none"
            raise LookupError(f"no room of {retreat!r} is open (open: {is_open})")
        return statistics

    # Its network

    async def open_stream(
        self, address: str | None = None, *, conditions: Conditions | None = None
    ) -> SimStream:
        """Open a connection, and say nothing on it.

        :param address: the IP address that it comes from; default: one of its own.
        :param conditions: what it does to its bytes; default: those of the server.
        :raises OSError: no server listens.
        """
        await trio.lowlevel.checkpoint()
        listener = self._running().listener
        return listener.connect(
            self._addresses.next(address), self._conditions if conditions is None else conditions
        )

    async def connect_stream(self, host: str, port: int) -> SimStream:
        """Open a connection, for :func:`gbs_actor.client.connect`; host and port do not matter.

        :raises OSError: no server listens.
        """
        return await self.open_stream()

    # What happens to it

    def crash_room(self, retreat: str, at: Tracepoint | None = None) -> None:
        """Let a retreat's room crash with :exc:`RoomCrash`, as a bug in it would let it.

        Further calls let it crash again, in their order. :attr:`RoomStatistics.crash_history` has
        them afterwards.

        :param at: the next time that it is at this step of its loop; ``None``: at any.
        :raises ValueError: there is no such retreat.
        """
        if retreat not in self._store.slugs:
            known = ", ".join(self._store.slugs) or "none"
            raise ValueError(f"no retreat {retreat!r} here; there are {known}")
        self._crashes[retreat].append(at)

    async def settle(self) -> None:
        """Return once everything is done that can be at this instant of Trio's clock.

        What waits for a deadline, as for a delayed byte, is left waiting.
        """
        await wait_all_tasks_blocked()

    async def restart(self, *, kill: bool = False) -> None:
        """End the server and start another one, over the same data and with the same settings.

        :param kill: whether it is killed; see :meth:`stop`.
        """
        await self.stop(kill=kill)
        await self.start()

    async def stop(self, *, kill: bool = False, grace: float | None = None) -> None:
        """End the server; until :meth:`start` nothing listens. Idempotent.

        :param kill: ``False``: it finishes the commands in flight and closes the connections,
            within ``shutdown_grace``. ``True``: it ends in one step, as if the process were
            killed. All connections are reset, and commits that were sent take effect now, later,
            or never.
        :param grace: instead of ``shutdown_grace``, in seconds; 0: nothing is finished.
        """
        process, self._process = self._process, None
        if process is None:
            await trio.lowlevel.checkpoint()
            return
        if kill:
            self._kill(process)
        else:
            process.stop(grace)
        await process.ended.wait()

    async def start(self) -> None:
        """Start a server.

        :raises RuntimeError: one is running.
        """
        if self._process is not None:
            raise RuntimeError("the server is running")
        process = ServerProcess(
            self._store,
            self.settings,
            self.environment,
            observe=self._observe,
            plane=self._plane,
            random=self._conditions.random,
            demo_sign_in=self._demo_sign_in,
        )
        await self._nursery.start(process.run)
        self._process = process

    def kill(self) -> None:
        """Kill the server, if one runs, without waiting until its tasks have ended."""
        process, self._process = self._process, None
        if process is not None:
            self._kill(process)

    def _kill(self, process: ServerProcess) -> None:
        self._store = process.kill()

    def _running(self) -> ServerProcess:
        if self._process is None or self._process.ended.is_set():
            raise ConnectionRefusedError("no server is running")
        return self._process

    def _observe(self, retreat: str, tracepoint: Tracepoint) -> None:
        self._observer(retreat, tracepoint)
        crashes = self._crashes.get(retreat)
        if crashes and crashes[0] in (None, tracepoint):
            crashes.popleft()
            raise RoomCrash(f"at {tracepoint}, as the test wants it")
